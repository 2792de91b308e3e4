"""What every adversarial row of one generator and one judge must do: who moves, in which direction, how often."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from ganbench.data import Batch, DataSpec, Split
from ganbench.engine.loop import train
from ganbench.errors import BadConfig, NotApplicable
from ganbench.model import GAN, Budget
from ganbench.registry import MODELS, recipes
from ganbench.seeding import global_stream

close = torch.testing.assert_close
VECTOR = DataSpec("vector", (2,), n_train=512, n_eval=256)
IMAGE = DataSpec("image", (1, 8, 8), domain=(-1.0, 1.0), n_train=512, n_eval=256)
OBJECTIVES = [
    *("gan_minimax", "gan_ns", "lsgan", "wgan", "wgan_1sided", "wgan_gp", "hinge", "dragan", "r1", "sngan"),
    *("relativistic", "fgan_kl", "fgan_rkl", "fgan_pearson", "fgan_hellinger", "fgan_js", "fgan_gan"),
]
STABILISERS = [
    *("unrolled", "pacgan", "minibatch_disc", "feature_matching", "historical_avg", "onesided_ls", "two_sided_ls"),
    *("virtual_bn", "batch_norm", "k_steps", "gan"),
]
ROWS = [*OBJECTIVES, *STABILISERS, "dcgan"]
every_row = pytest.mark.parametrize("name", ROWS)
SMALL = {"batch_size": 16, "latent_dim": 3, "hidden": (12, 12), "width": 4}


def make(name: str, **changes: object) -> GAN:
    cls = MODELS.load(name)
    spec = IMAGE if name == "dcgan" else VECTOR
    model: GAN = cls(cls.configure(spec, **{**SMALL, **changes}))
    with global_stream("init", 0):
        model.build(spec)
    return model


def batch(model: GAN, seed: int = 0) -> Batch:
    x = torch.randn(model.config.batch_size, *model.spec.event_shape, generator=torch.Generator().manual_seed(seed))
    return Batch(x.clamp(-1, 1), torch.Generator().manual_seed(seed + 1))


def judge_of(model: GAN) -> nn.Module:
    return model.critic if hasattr(model, "critic") else model.discriminator


@every_row
def test_the_judges_loss_is_blind_to_the_generator(name: str) -> None:
    """A missing detach would show here: the generator would receive the judge's gradient, and cost its time."""
    model = make(name)
    judge, generator = model.players()
    assert judge.module is judge_of(model)
    assert generator.module is model.generator
    loss = judge.loss(batch(model))
    assert loss.shape == ()
    grads = torch.autograd.grad(loss, list(model.generator.parameters()), allow_unused=True, retain_graph=True)
    assert all(g is None for g in grads)
    own = torch.autograd.grad(loss, list(judge.module.parameters()), allow_unused=True)
    assert any(g is not None and g.abs().sum() > 0 for g in own)


@every_row
def test_the_generators_loss_reaches_every_layer_of_the_generator(name: str) -> None:
    model = make(name)
    loss = model.players()[1].loss(batch(model))
    grads = torch.autograd.grad(loss, list(model.generator.parameters()))
    assert all(g.isfinite().all() for g in grads)
    assert sum(g.abs().sum() > 0 for g in grads) >= len(grads) - 1  # a bias before batch norm has no effect


class Line(nn.Module):
    """The judge w.x on vectors, with w in its only parameter; its features are the coordinates."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((width,), 0.02))

    def features(self, x: Tensor) -> Tensor:
        return x * 1.0

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Shift(nn.Module):
    """The generator b + 0.1 z."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor([-1.0, -1.0]))

    def forward(self, z: Tensor) -> Tensor:
        return self.shift + 0.1 * z[:, :2]


@pytest.mark.parametrize("name", [*OBJECTIVES, *STABILISERS])
def test_the_judge_learns_to_score_data_higher_and_the_generator_to_score_higher(name: str) -> None:
    """Data at (1, 1), fakes at (-1, -1), a linear judge: any flipped sign turns one of these round."""
    model = make(name)
    line = Line(2 * getattr(model.config, "pack", 1))
    if hasattr(model, "critic"):
        model.critic = line
    else:
        model.discriminator = line
    model.generator = Shift()
    for history in ("discriminator_history", "generator_history"):
        if hasattr(model, history):
            setattr(model, history, type(model.generator_history)(line if "disc" in history else model.generator))
    judge, generator = model.players()
    b = batch(model)
    b = Batch(torch.ones_like(b.x) + 0.1 * b.x, b.rng)
    (pull,) = torch.autograd.grad(judge.loss(b), line.weight)
    assert (pull < 0).all()
    (lift,) = torch.autograd.grad(generator.loss(b), model.generator.shift)
    assert (lift < 0).all()


@pytest.mark.parametrize(
    ("name", "updates"), [("wgan", 5), ("wgan_gp", 5), ("wgan_1sided", 5), ("sngan", 5), ("k_steps", 5)]
)
def test_critics_move_n_critic_times_and_generators_once(name: str, updates: int) -> None:
    model, moves = make(name), []
    judge = judge_of(model)
    last = {"judge": _flat(judge), "generator": _flat(model.generator)}
    players = model.players()

    def watch(who: str) -> None:
        now = {"judge": _flat(judge), "generator": _flat(model.generator)}
        changed = [k for k in now if not torch.equal(now[k], last[k])]
        last.update(now)
        moves.append((who, changed))

    def spied(player, who):  # type: ignore[no-untyped-def]
        def after() -> None:
            if player.after is not None:
                player.after()
            watch(who)

        return type(player)(**{**player.__dict__, "after": after})

    model.players = lambda: [spied(players[0], "judge"), spied(players[1], "generator")]  # type: ignore[method-assign]
    train(model, Split(torch.randn(64, 2)), Budget(iterations=3), torch.Generator().manual_seed(0))
    turn = [("judge", ["judge"])] * updates + [("generator", ["generator"])]
    assert moves == turn * 3


def _flat(module: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def test_wgan_warms_its_critic_up() -> None:
    model = make("wgan", warm_up=True)
    updates = model.players()[0].updates
    assert callable(updates)
    assert [updates(t) for t in (0, 24, 25, 499, 500, 501, 1000)] == [100, 100, 5, 5, 100, 5, 100]


def test_wgan_keeps_every_weight_of_its_critic_clipped() -> None:
    model = make("wgan", lr=0.01, clip=0.01)
    assert _flat(model.critic).abs().max() <= 0.01
    train(model, Split(torch.randn(64, 2)), Budget(iterations=5), torch.Generator().manual_seed(0))
    assert _flat(model.critic).abs().max() <= 0.01 + 1e-8
    assert _flat(model.generator).abs().max() > 0.05


def test_wgan_with_clipped_gradients_does_not_bound_its_critic() -> None:
    model = make("wgan", lr=0.01, clip=0.01, clips="gradient")
    train(model, Split(torch.randn(64, 2)), Budget(iterations=5), torch.Generator().manual_seed(0))
    assert _flat(model.critic).abs().max() > 0.1


def test_wgan_gp_and_its_penalty_agree_with_the_shared_one() -> None:
    from baselines.adversarial.wgan_gp import gradient_penalty
    from ganbench.losses import penalties

    model = make("wgan_gp")
    real, fake = torch.randn(16, 2), torch.randn(16, 2)
    ours = gradient_penalty(model.critic, real, fake, torch.Generator().manual_seed(3))
    close(ours, penalties.gradient_penalty(model.critic, real, fake, torch.Generator().manual_seed(3)))


@pytest.mark.parametrize("zero_steps", [("unrolled", {"k": 0}, "gan_minimax"), ("k_steps", {"k": 1}, "gan_ns")])
def test_a_stabiliser_at_zero_strength_is_the_plain_row(zero_steps: tuple[str, dict[str, int], str]) -> None:
    name, changes, plain = zero_steps
    a, b = make(name, **changes), make(plain)
    for _ in range(2):
        losses = [m.generator_loss(batch(m)) for m in (a, b)]
        grads = [torch.autograd.grad(x, list(m.generator.parameters())) for x, m in zip(losses, (a, b), strict=True)]
        close(grads[0], grads[1])
        close(a.discriminator_loss(batch(a)), b.discriminator_loss(batch(b)))


@pytest.mark.parametrize(
    ("name", "changes", "parts"),
    [
        ("gan_ns", {}, {}),
        ("gan_minimax", {}, {"objective": "minimax"}),
        ("lsgan", {}, {"objective": "least_squares"}),
        ("hinge", {}, {"objective": "hinge"}),
        ("relativistic", {}, {"objective": "relativistic_average"}),
        ("relativistic", {"average": False}, {"objective": "relativistic"}),
        ("fgan_kl", {}, {"objective": "f_kl"}),
        ("fgan_rkl", {}, {"objective": "f_rkl", "stabilisers": ("gradient_clip",)}),
        ("fgan_hellinger", {}, {"objective": "f_hellinger", "stabilisers": ("gradient_clip",)}),
        ("dragan", {"penalty_weight": 10.0}, {"penalty": "dragan"}),
        ("r1", {}, {"penalty": "r1"}),
        ("sngan", {}, {"objective": "hinge", "stabilisers": ("spectral_norm",), "n_critic": 5}),
        ("pacgan", {}, {"stabilisers": ("pack",)}),
        ("minibatch_disc", {}, {"stabilisers": ("minibatch_disc",)}),
        ("feature_matching", {}, {"stabilisers": ("feature_matching",)}),
        ("onesided_ls", {}, {"stabilisers": ("label_smoothing",)}),
        ("two_sided_ls", {}, {"stabilisers": ("two_sided_label_smoothing",)}),
        ("historical_avg", {}, {"stabilisers": ("historical_avg",)}),
        ("batch_norm", {}, {"stabilisers": ("batch_norm",)}),
        ("unrolled", {}, {"objective": "minimax", "stabilisers": ("unroll",)}),
        ("unrolled", {"generator": "non_saturating"}, {"stabilisers": ("unroll",)}),
        ("k_steps", {}, {"n_critic": 5}),
    ],
)
def test_the_composed_gan_is_the_row_of_its_parts(
    name: str, changes: dict[str, object], parts: dict[str, object]
) -> None:
    row, composed = make(name, **changes), make("gan", **parts)
    composed.load_state_dict(row.state_dict())
    data = Split(torch.randn(128, 2, generator=torch.Generator().manual_seed(5)))
    for model in (row, composed):
        train(model, data, Budget(iterations=4), torch.Generator().manual_seed(0))
    close(dict(row.state_dict()), dict(composed.state_dict()))


def test_composed_penalties_match_the_wasserstein_rows() -> None:
    for name, penalty in (("wgan_gp", "gp:0.7"), ("wgan_1sided", "one_sided:0.7")):
        field = "gp_weight" if name == "wgan_gp" else "penalty_weight"
        row = make(name, **{field: 0.7})
        composed = make("gan", objective="wasserstein", penalty=penalty)
        composed.discriminator.load_state_dict(row.critic.state_dict())
        composed.generator.load_state_dict(row.generator.state_dict())
        for critic in (row.critic, composed.discriminator):
            critic.head[0].weight.data.mul_(50)  # steep, so that one-sided penalties bite
        close(row.critic_loss(batch(row)), composed.discriminator_loss(batch(composed)))
        close(row.generator_loss(batch(row)), composed.generator_loss(batch(composed)))


def test_a_moving_average_is_what_the_composed_gan_samples() -> None:
    model = make("gan", stabilisers=("ema:0.5",), lr=0.01)
    seen: list[dict[str, Tensor]] = []
    update = model.average.update
    model.average.update = lambda: (update(), seen.append(copy.deepcopy(model.generator.state_dict())))
    train(model, Split(torch.randn(64, 2)), Budget(iterations=2), torch.Generator().manual_seed(0))
    for key, average in model.average.average.state_dict().items():  # weights 1/2 and 1 over their sum
        close(average, (seen[0][key] + 2 * seen[1][key]) / 3)
    rng = torch.Generator().manual_seed(1)
    z = model.draw_latent(5, torch.Generator().manual_seed(1))
    close(model.sample(5, rng), model.average.average(z))


def test_impossible_settings_are_refused_before_training() -> None:
    with pytest.raises(BadConfig, match="multiple of the pack size 3"):
        make("pacgan", pack=3)
    with pytest.raises(BadConfig, match="latent_dim"):
        make("gan_ns", latent_dim=0)
    with pytest.raises(BadConfig, match="k = -1"):
        make("unrolled", k=-1)
    with pytest.raises(BadConfig, match="own gradient"):
        make("gan", objective="wasserstein", penalty="gp", stabilisers=("minibatch_disc",))
    with pytest.raises(NotApplicable, match="packs"):
        make("pacgan").features(torch.zeros(2, 2))
    with pytest.raises(NotApplicable, match="both at once"):
        make("pacgan", networks="paper", generator_updates=2)
    cls = MODELS.load("unrolled")
    unrolled = cls(cls.Config(networks="paper"))
    with pytest.raises(NotApplicable, match="vectors"):
        unrolled.build(IMAGE)


def test_dcgan_draws_uniform_latents() -> None:
    z = make("dcgan").draw_latent(20_000, torch.Generator().manual_seed(0))
    assert z.abs().max() <= 1
    close(z.square().mean(), torch.tensor(1 / 3), rtol=0.02, atol=0)


@pytest.mark.parametrize("name", ["fgan_kl", "fgan_rkl", "fgan_pearson"])
def test_no_rejected_fake_outweighs_the_others(name: str) -> None:
    """The generators whose divergence leaves a choice climb V itself: every fake pulls alike, however rejected."""
    model = make(name)
    model.discriminator, model.generator = Line(2), Shift()
    with torch.no_grad():
        model.discriminator.weight.fill_(20.0)  # V = -40 at the fakes, where exp(-V) is 1e17
    (pull,) = torch.autograd.grad(model.generator_loss(batch(model)), model.generator.shift)
    close(pull, torch.tensor([-20.0, -20.0]))


def test_dragan_first_learns_to_tell_data_from_fakes() -> None:
    """A newborn discriminator is flat, a penalty of one times its weight: on vectors less than its cross-entropy."""
    model = make("dragan")
    assert 2 * math.log(2) < float(model.discriminator_loss(batch(model)).detach()) < 4 * math.log(2)
    assert model.defaults.image["penalty_weight"] == 10


def test_fgan_bounds_are_reported_while_training() -> None:
    model = make("fgan_gan")
    value = model.diagnostics(batch(model))["divergence_bound"]
    close(value, -model.discriminator_loss(batch(model)))
    assert -3 * math.log(4) < value < 0


@pytest.mark.parametrize("name", ["wgan", "wgan_gp", "wgan_1sided"])
def test_wasserstein_rows_report_their_estimate_and_slope(name: str) -> None:
    model = make(name)
    model.critic = Line(2)
    b = batch(model)
    reported = model.diagnostics(Batch(b.x, torch.Generator().manual_seed(3)))
    fake = model.generate(16, torch.Generator().manual_seed(3))
    close(reported["wasserstein_estimate"], 0.02 * (b.x.sum(1).mean() - fake.detach().sum(1).mean()))
    close(reported["gradient_norm"].detach(), torch.tensor(0.02 * 2**0.5))


@pytest.mark.parametrize("name", ["pacgan", "unrolled"])
def test_recipes_build_and_move(name: str) -> None:
    cls = MODELS.load(name)
    for recipe in {str(r.config): r for r in recipes.load(MODELS.get(name)) if r.dataset != "stacked_mnist"}.values():
        model = cls(cls.configure(VECTOR, **recipe.config))
        model.build(VECTOR)
        data = Split(torch.randn(model.config.batch_size, 2))
        train(model, data, Budget(iterations=1), torch.Generator().manual_seed(0))
        assert model.sample(3, torch.Generator()).shape == (3, 2)
    assert all("iterations" in r.budget for r in recipes.load(MODELS.get(name)))


def test_players_that_move_at_once_get_the_gradients_of_their_own_losses() -> None:
    cls = MODELS.load("pacgan")
    model = cls(cls.configure(VECTOR, networks="paper", pack=2, batch_size=8))
    model.build(VECTOR)
    batch = Batch(torch.randn(8, 2), torch.Generator().manual_seed(1))
    (both,) = model.players()
    both.loss(batch).backward()
    for network, loss in ((model.discriminator, model.discriminator_loss), (model.generator, model.generator_loss)):
        wanted = torch.autograd.grad(loss(Batch(batch.x, torch.Generator().manual_seed(1))), network.parameters())
        for p, gradient in zip(network.parameters(), wanted, strict=True):
            close(p.grad, gradient)


def test_pacgan_on_images_packs_channels_and_draws_uniform_latents() -> None:
    colour = DataSpec("stacked_mnist", (3, 28, 28), (-1.0, 1.0))
    cls = MODELS.load("pacgan")
    recipe = next(
        r for r in recipes.load(MODELS.get("pacgan")) if r.dataset == "stacked_mnist" and r.config["pack"] == 3
    )
    model = cls(cls.configure(colour, **recipe.config))
    model.build(colour)
    assert model.judge(torch.zeros(6, 3, 28, 28)).shape == (2,)
    assert model.draw_latent(1000, torch.Generator()).abs().max() <= 1
    assert [p.updates for p in model.players()] == [1, 2]


def test_learning_rates_stay_for_half_the_budget_and_then_fall_to_zero() -> None:
    for name in ("gan_ns", "wgan", "wgan_gp", "wgan_1sided", "unrolled", "gan", "pacgan", "ebgan", "ali", "gmmn"):
        model = make(name)
        assert all(player.schedule is None for player in model.players())  # the model's holds
        assert [model.schedule(s) for s in (0.0, 0.5, 0.75, 1.0)] == [1.0, 1.0, 0.5, 0.0]
        assert make(name, decay="none").schedule is None


def test_small_events_have_defaults_of_their_own_which_overrides_beat() -> None:
    cls = MODELS.load("vat")
    small, large = DataSpec("s", (1, 8, 8), (-1, 1), 10), DataSpec("l", (1, 28, 28), (-1, 1), 10)
    assert (cls.configure(small).hidden, cls.configure(large).hidden) == ((200, 200), (1200, 1200))
    assert cls.configure(small, hidden=(7,)).hidden == (7,)


def test_image_defaults_are_inherited_unless_a_row_redefines_the_field() -> None:
    shared = MODELS.load("gan_ns").configure(IMAGE)
    assert (shared.latent_dim, shared.lr, shared.decay) == (64, 2e-4, "none")
    assert MODELS.load("dcgan").configure(IMAGE).latent_dim == 100
    assert MODELS.load("wgan").configure(IMAGE).lr == 5e-5
    gp = MODELS.load("wgan_gp").configure(IMAGE)
    assert (gp.lr, gp.gp_weight, gp.latent_dim) == (1e-4, 10.0, 64)
    assert MODELS.load("wgan_gp").configure(IMAGE, lr=0.5).lr == 0.5
