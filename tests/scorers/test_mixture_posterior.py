"""The exact posterior agrees with Bayes' rule written out."""

import pytest
import torch
from scipy.stats import multivariate_normal

from ganbench.data import Mixture
from ganbench.datasets.load import load
from ganbench.errors import BadConfig, BadInput, NotApplicable
from ganbench.scorers.load import load_scorer


@pytest.mark.parametrize("name", ["ring8", "grid25"])
def test_posterior_is_bayes_rule(name):
    mixture = load(name).mixture
    scorer = load_scorer("mixture_posterior", mixture=mixture)
    x = mixture.sample(200, torch.Generator().manual_seed(0))[0] + 0.5 * mixture.std
    joint = torch.stack(
        [torch.as_tensor(multivariate_normal(m.numpy(), mixture.std**2).pdf(x.numpy())) for m in mixture.means], 1
    )
    p = scorer.probs(x)
    assert p.dtype == torch.float64
    torch.testing.assert_close(p, joint / joint.sum(1, keepdim=True), atol=1e-9, rtol=1e-6)
    torch.testing.assert_close(p.sum(1), torch.ones(200, dtype=torch.float64))


def test_posterior_at_modes_midpoints_and_far_away():
    mixture = load("ring8").mixture
    scorer = load_scorer("mixture_posterior", mixture=mixture)
    torch.testing.assert_close(scorer.probs(mixture.means), torch.eye(8, dtype=torch.float64), atol=1e-12, rtol=0)
    midpoint = torch.stack([(mixture.means[0] + mixture.means[1]).double() / 2])
    means = mixture.means.double()
    gap = (midpoint - means[0]).square().sum() - (midpoint - means[1]).square().sum()  # float32 means are not symmetric
    expected = torch.sigmoid(-gap / (2 * mixture.std**2))
    torch.testing.assert_close(scorer.probs(midpoint)[0, 0], expected, atol=1e-9, rtol=0)
    far = scorer.probs(torch.tensor([[1e4, 3.0]]))
    torch.testing.assert_close(far[0, 0], torch.tensor(1.0).double())  # densities underflow; logs do not


def test_features_are_the_events():
    scorer = load_scorer("mixture_posterior", mixture=load("grid25").mixture)
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(scorer.features(x), x)
    assert scorer.n_classes == 25


def test_signature_pins_the_law():
    means = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    signatures = {
        load_scorer("mixture_posterior", mixture=m).signature
        for m in (Mixture(means, 0.1), Mixture(means, 0.2), Mixture(means.flip(0), 0.1), Mixture(means.clone(), 0.1))
    }
    assert len(signatures) == 3
    assert all(s.startswith("mixture-posterior@") and len(s.split("@")[1]) == 8 for s in signatures)


def test_wrong_use_is_refused():
    mixture = load("ring8").mixture
    with pytest.raises(NotApplicable, match="exact mixture density"):
        load_scorer("mixture_posterior")
    with pytest.raises(BadInput, match=r"\(N, 2\)"):
        load_scorer("mixture_posterior", mixture=mixture).probs(torch.zeros(4, 3))
    with pytest.raises(BadConfig, match="takes no weights"):
        load_scorer("mixture_posterior", weights="some.pth", mixture=mixture)
