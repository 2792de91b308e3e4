"""What the theory of GANs says about small games, checked where it can be computed in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment, linprog
from torch import Tensor, nn

from ganbench.data import Split
from ganbench.engine.loop import train
from ganbench.losses.adversarial import critic_wasserstein, discriminator_bce
from ganbench.losses.divergences import DIVERGENCES, Divergence, variational_bound
from ganbench.losses.penalties import clip_weights_
from ganbench.model import Budget, Config, Model, Player

close = torch.testing.assert_close
# Two laws on five points as counts, so that samples hold them exactly.
P, Q = torch.tensor([1, 2, 3, 4, 6]), torch.tensor([5, 5, 3, 2, 1])
REAL, FAKE = (torch.repeat_interleave(torch.arange(5), counts) for counts in (P, Q))
p, q = P.double() / P.sum(), Q.double() / Q.sum()


def jensen_shannon(p: Tensor, q: Tensor) -> Tensor:
    m = (p + q) / 2
    return 0.5 * torch.special.xlogy(p, p / m).sum() + 0.5 * torch.special.xlogy(q, q / m).sum()


def minimise(loss: Callable[[Tensor], Tensor], parameter: Tensor) -> None:
    optimizer = torch.optim.LBFGS(
        [parameter], max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(parameter)
        value.backward()
        return value

    optimizer.step(closure)


def test_the_best_discriminator_is_the_posterior_and_its_value_is_twice_js_minus_log_4() -> None:
    logits = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    minimise(lambda v: discriminator_bce(v[REAL], v[FAKE]), logits)
    close(torch.sigmoid(logits).detach(), p / (p + q), rtol=1e-6, atol=0)
    value = -discriminator_bce(logits[REAL], logits[FAKE]).detach()
    close(value, 2 * jensen_shannon(p, q) - math.log(4), rtol=1e-9, atol=0)


def test_the_value_on_two_gaussians_by_quadrature() -> None:
    x = torch.linspace(-12, 14, 20_001, dtype=torch.float64)
    dx = float(x[1] - x[0])
    a, b = (torch.exp(-0.5 * (x - m) ** 2) / math.sqrt(2 * math.pi) for m in (0.0, 2.0))
    logit = 2 - 2 * x  # log a - log b: with equal variances the best logit is linear and its sigmoid saturates
    value = (a * nn.functional.logsigmoid(logit) + b * nn.functional.logsigmoid(-logit)).sum() * dx
    close(value, 2 * jensen_shannon(a * dx, b * dx) - math.log(4), rtol=1e-9, atol=0)


@pytest.mark.parametrize("theta", [0.25, 1.0, -3.0])
def test_parallel_segments_are_log_2_and_infinity_apart_but_theta_in_wasserstein(theta: float) -> None:
    """P = (0, Z), Q = (theta, Z), Z uniform: only W says how far, whatever theta is (arXiv:1701.07875, example 1)."""
    height = np.linspace(0, 1, 40)
    a, b = np.stack([0 * height, height], 1), np.stack([0 * height + theta, height], 1)
    points = np.unique(np.concatenate([a, b]), axis=0)
    on_a, on_b = (torch.tensor(_law(points, support), dtype=torch.float64) for support in (a, b))
    close(jensen_shannon(on_a, on_b), torch.tensor(math.log(2), dtype=torch.float64))
    kl = torch.special.xlogy(on_a, on_a / on_b).sum()
    assert kl == math.inf
    cost = np.linalg.norm(a[:, None] - b, axis=2)
    rows, columns = linear_sum_assignment(cost)
    assert cost[rows, columns].mean() == pytest.approx(abs(theta), rel=1e-12)


def _law(points: np.ndarray, support: np.ndarray) -> list[float]:
    return [1 / len(support) if (support == row).all(1).any() else 0.0 for row in points]


class Bilinear(Model):
    """min over x, max over y of x y, by plain gradient steps in turn."""

    def __init__(self, lr: float) -> None:
        super().__init__(Config(batch_size=1))
        self.lr, self.path = lr, []
        self.x, self.y = (nn.ParameterList([nn.Parameter(torch.tensor(1.0, dtype=torch.float64))]) for _ in "xy")

    def players(self) -> list[Player]:
        def sgd(parameters: list[Tensor], **fast: bool) -> torch.optim.SGD:
            return torch.optim.SGD(parameters, lr=self.lr)

        return [
            Player("x", self.x, lambda batch: self.x[0] * self.y[0], sgd),
            Player("y", self.y, lambda batch: -self.x[0] * self.y[0], sgd, after=self.remember),
        ]

    def remember(self) -> None:
        self.path.append((self.x[0].item(), self.y[0].item()))


def test_simultaneous_steps_spiral_outwards_and_turns_stay_on_an_ellipse() -> None:
    lr, steps = 0.1, 200
    x, y = (torch.ones((), dtype=torch.float64, requires_grad=True) for _ in "xy")
    for _ in range(steps):
        gx, gy = torch.autograd.grad(x * y, [x, y])
        with torch.no_grad():
            x -= lr * gx
            y += lr * gy
    close((x**2 + y**2).item(), 2 * (1 + lr**2) ** steps, rtol=1e-9, atol=0)

    game = Bilinear(lr)
    train(game, Split(torch.zeros(1, 1)), Budget(iterations=steps), torch.Generator())
    # x' = x - lr y, y' = y + lr x' keep x^2 + y^2 - lr x y: neither inwards nor outwards.
    kept = [a**2 + b**2 - lr * a * b for a, b in game.path]
    assert kept == pytest.approx([2 - lr] * steps, rel=1e-9)


def test_the_order_of_min_and_max_matters() -> None:
    """max min <= min max, strictly in matching pennies; with mixed strategies both are 0."""
    payoff = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    assert payoff.min(0).values.max() < payoff.max(1).values.min()
    half = torch.tensor([0.5, 0.5])
    close(half @ payoff, torch.zeros(2))


def test_clipping_drives_a_linear_critics_weights_to_the_corners() -> None:
    c, critic = 0.01, nn.Linear(3, 1)
    real, fake = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.0, 1.0, 0.1]])
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        critic_wasserstein(critic(real), critic(fake)).backward()
        optimizer.step()
        clip_weights_(critic, c)
    close(critic.weight.data, torch.tensor([[c, -c, c]]))  # the sign of E x - E G(z), whatever its size


def test_clipping_drives_a_deep_critics_weights_to_the_corners() -> None:
    torch.manual_seed(0)
    c, act = 0.1, nn.LeakyReLU(0.2)
    critic = nn.Sequential(nn.Linear(2, 32), act, nn.Linear(32, 32), act, nn.Linear(32, 1))
    clip_weights_(critic, c / 2)  # none starts near a corner
    optimizer = torch.optim.RMSprop(critic.parameters(), lr=2e-3)
    for _ in range(300):
        angle = 2 * math.pi * torch.rand(64, 1)
        real = torch.cat([angle.cos(), angle.sin()], 1)
        fake = 0.3 * torch.randn(64, 2)
        optimizer.zero_grad()
        critic_wasserstein(critic(real), critic(fake)).backward()
        optimizer.step()
        clip_weights_(critic, c)
    weights = torch.cat([layer.weight.detach().flatten() for layer in critic if isinstance(layer, nn.Linear)])
    assert weights.abs().max() <= c + 1e-7
    assert (weights.abs() > 0.95 * c).float().mean() > 0.5


@pytest.mark.parametrize("divergence", DIVERGENCES.values(), ids=DIVERGENCES)
def test_each_f_divergences_bound_is_tight_at_its_optimal_function(divergence: Divergence) -> None:
    exact = (q * divergence.f(p / q)).sum()
    t = divergence.optimal(p / q)
    close((p * t).sum() - (q * divergence.conjugate(t)).sum(), exact)
    # And in terms of the network's output V: no other V gives more, and the best V attains it.
    v = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    minimise(lambda v: -variational_bound(divergence, v[REAL], v[FAKE]), v)
    close(variational_bound(divergence, v[REAL], v[FAKE]).detach(), exact, rtol=1e-8, atol=0)
    for seed in range(5):
        other = v.detach() + 0.3 * torch.randn(5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        assert variational_bound(divergence, other[REAL], other[FAKE]) <= exact


def test_kantorovich_rubinstein_dual_equals_primal() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2))
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    a, b = p.numpy(), q.numpy()
    n = len(points)
    marginals = np.concatenate([np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))])
    primal = linprog(distance.ravel(), A_eq=marginals, b_eq=np.concatenate([a, b]))
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    lipschitz = np.zeros((len(pairs), n))
    for row, (i, j) in enumerate(pairs):
        lipschitz[row, i], lipschitz[row, j] = 1, -1
    bounds = [(0, 0)] + [(None, None)] * (n - 1)  # f is free up to a constant
    dual = linprog(b - a, A_ub=lipschitz, b_ub=[distance[i, j] for i, j in pairs], bounds=bounds)
    assert -dual.fun == pytest.approx(primal.fun, rel=1e-9)
    # The maximiser is the best critic: minus its loss is W.
    critic = torch.tensor(dual.x)
    close(-critic_wasserstein(critic[REAL], critic[FAKE]).item(), primal.fun)
    # A linear critic of slope 1 can do no better: W >= |E x - E y|.
    assert primal.fun >= np.linalg.norm(a @ points - b @ points)
