"""Pixel models: probabilities that sum to one, causality, and cached sampling that draws what the naive loop draws."""

import itertools
import time

import pytest
import torch
from torch.testing import assert_close

from baselines.autoregressive.pixelcnn import PixelCNN
from baselines.autoregressive.pixelrnn import PixelRNN
from ganbench.data import DataSpec
from ganbench.errors import BadConfig, NotApplicable
from ganbench.nn.masked import draw, draw_levels, fill, level_values, quantise

KINDS = {"pixelcnn": (PixelCNN, {}), "row": (PixelRNN, {"layer": "row"}), "diagonal": (PixelRNN, {"layer": "diagonal"})}


@pytest.fixture(params=KINDS)
def make(request):
    cls, kind = KINDS[request.param]

    def build(shape, **overrides):
        spec = DataSpec("pixels", shape, domain=(-1.0, 1.0))
        torch.manual_seed(0)
        model = cls(cls.configure(spec, **{"n_layers": 2, "width": 6, "n_levels": 2} | kind | overrides))
        model.build(spec)
        with torch.no_grad():  # larger weights, so that pixels depend on each other
            for p in model.parameters():
                p.mul_(3)
        return model

    return build


def naive_sample(model, shape, n, rng):
    """The definition: a whole forward pass for every pixel, on the same uniforms."""
    u = torch.rand(n, *shape, generator=rng, dtype=torch.float64)
    x = torch.zeros(n, *shape)
    with torch.no_grad():
        for i, j, c in itertools.product(range(shape[1]), range(shape[2]), range(shape[0])):
            index = draw(model.net(x)[:, c, :, i, j], u[:, c, i, j])
            x[:, c, i, j] = level_values(index, (-1.0, 1.0), model.config.n_levels)
    return x


def test_probabilities_of_all_binary_images_sum_to_one(make, rng):
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=9))).view(-1, 1, 3, 3)
    log_p = make((1, 3, 3)).log_prob(x, rng).double()
    assert_close(log_p.exp().sum().item(), 1.0, rtol=0, atol=1e-5)
    assert log_p.std() > 0.1  # and it is not the uniform law


def test_probabilities_of_all_colour_images_sum_to_one(make, rng):
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=12))).view(-1, 3, 2, 2)
    for width in (6, 16):  # the default is no multiple of three channels
        total = make((3, 2, 2), width=width).log_prob(x, rng).double().exp().sum().item()
        assert_close(total, 1.0, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("shape", "width"), [((1, 6, 5), 24), ((3, 4, 4), 24), ((3, 4, 4), 25)])
def test_each_pixel_depends_on_all_before_it_and_on_none_after(make, rng, shape, width):
    model = make(shape, first_size=3, n_layers=3, width=width)  # wide enough for its ReLUs not to die
    order = list(itertools.product(range(shape[1]), range(shape[2]), range(shape[0])))
    at = len(order) // 2
    i, j, c = order[at]
    x = torch.rand(1, *shape, generator=rng).requires_grad_()
    (gradient,) = torch.autograd.grad(model.net(x)[0, c, :, i, j].square().sum(), x)
    reached = [bool(gradient[0, b, p, q] != 0) for p, q, b in order]
    assert not any(reached[at:])
    near = [k for k, (p, q, _) in enumerate(order[:at]) if i - p <= 1 and abs(j - q) <= 1]
    assert all(reached[k] for k in near)


@pytest.mark.parametrize("shape", [(1, 6, 5), (3, 3, 4)])
def test_cached_sampling_draws_what_the_naive_loop_draws(make, shape):
    model = make(shape, n_levels=5)
    ours = model.sample(16, torch.Generator().manual_seed(3))
    naive = naive_sample(model, shape, 16, torch.Generator().manual_seed(3))
    assert_close(ours, naive, rtol=0, atol=0)
    assert ours.unique().tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]


def test_samples_follow_the_probabilities(make, rng):
    model = make((1, 2, 2))
    x = model.sample(20_000, rng)
    code = ((x.flatten(1) > 0).long() * torch.tensor([8, 4, 2, 1])).sum(1)
    images = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=4))).view(-1, 1, 2, 2)
    expected = model.log_prob(images, rng).double().exp()
    share = torch.bincount(code, minlength=16) / len(x)
    assert ((share - expected).abs() < 4.5 * (expected * (1 - expected) / len(x)).sqrt()).all()


def test_inpainting_keeps_what_is_known_and_draws_the_rest_from_the_model(make, rng):
    model, shape = make((1, 4, 4)), (1, 4, 4)
    known = torch.zeros(shape, dtype=torch.bool)
    known[:, :2] = True
    x = level_values(torch.randint(2, (8, *shape), generator=rng), (-1.0, 1.0), 2)
    out = model.inpaint(x, known, torch.Generator().manual_seed(1))
    assert_close(out[:, :, :2], x[:, :, :2], rtol=0, atol=0)
    hidden = x.clone()
    hidden[:, :, 2:] = 7.0  # what lies under the mask is never looked at
    assert_close(model.inpaint(hidden, known, torch.Generator().manual_seed(1)), out, rtol=0, atol=0)


def test_log_prob_is_that_of_the_quantised_image(make, rng):
    model = make((1, 3, 3), n_levels=3)
    x = 2 * torch.rand(5, 1, 3, 3, generator=rng) - 1
    rounded = level_values(quantise(x, (-1.0, 1.0), 3), (-1.0, 1.0), 3)
    assert_close(model.log_prob(x, rng), model.log_prob(rounded, rng))
    assert model.log_prob_of == "mass of 3 levels"


def test_drawn_levels_keep_the_mean_and_two_of_them_are_binarised_pixels(make, rng):
    x = torch.tensor([-1.0, -0.6, 0.0, 0.7, 1.0])
    for n in (2, 5):
        drawn = level_values(draw_levels(x.expand(20_000, 5), (-1.0, 1.0), n, rng), (-1.0, 1.0), n)
        assert_close(drawn.mean(0), x, rtol=0, atol=4.5 / 20_000**0.5)
        assert (drawn - x).abs().max() < 2 / (n - 1)
    model = make((1, 3, 3), n_levels=2, rounding="drawn")
    assert model.log_prob_of == "mass of 2 levels drawn"
    grey = torch.zeros(4000, 1, 3, 3)
    with torch.no_grad():  # over all 512 images alike
        every = model.log_prob(torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 9).view(-1, 1, 3, 3), rng)
        assert_close(model.log_prob(grey, rng).mean(), every.mean(), rtol=0, atol=4.5 * float(every.std()) / 4000**0.5)


def test_seventeen_levels_hold_the_digits_exactly():
    pixels = torch.arange(17).float() / 8 - 1
    assert_close(level_values(quantise(pixels, (-1.0, 1.0), 17), (-1.0, 1.0), 17), pixels, rtol=0, atol=0)


def test_vectors_and_unfit_settings_are_refused(make):
    for cls in (PixelCNN, PixelRNN):
        vector = DataSpec("ring8", (2,))
        with pytest.raises(NotApplicable, match="needs images"):
            cls(cls.configure(vector)).build(vector)
        with pytest.raises(BadConfig, match="n_levels"):
            cls.Config(n_levels=1)
    with pytest.raises(NotApplicable, match="at least the 3 channels"):
        make((3, 4, 4), width=2)


def test_cached_sampling_of_pixelcnn_is_ten_times_the_naive_loop():
    spec = DataSpec("pixels", (1, 16, 16), domain=(-1.0, 1.0))
    model = PixelCNN(PixelCNN.configure(spec))
    model.build(spec)
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(64, 1, 16, 16)

    def seconds(draw_images):
        start = time.perf_counter()
        draw_images()
        return time.perf_counter() - start

    with torch.no_grad():  # each of the naive loop's 256 passes costs the same
        naive_pass = min(seconds(lambda: model.net(x)) for _ in range(5))
    cached = min(seconds(lambda: model.sample(len(x), generator)) for _ in range(3))
    assert 256 * naive_pass > 10 * cached


def test_fill_asks_for_every_pixel_in_raster_order():
    class Recorder:
        def __init__(self):
            self.calls = []

        def modules(self):
            return iter(())

        def start(self, x):
            self.calls.append("start")

        def pixel(self, x, i, j):
            self.calls.append((i, j))
            return torch.tensor([[[-50.0, 50.0]]]).expand(len(x), 1, 2)

        def end_row(self, x, i):
            self.calls.append(f"row {i}")

    network = Recorder()
    known = torch.tensor([[[True, False], [False, False]]])
    x = fill(network, torch.full((2, 1, 2, 2), -1.0), known, torch.full((2, 1, 2, 2), 0.5), (-1.0, 1.0), 2)
    assert network.calls == ["start", (0, 0), (0, 1), "row 0", (1, 0), (1, 1), "row 1"]
    assert x[0, 0].tolist() == [[-1, 1], [1, 1]]
