"""The facts that every model keeps, each a function of one case: it returns, or raises `Broken` with rule and cure.

A few iterations on tiny random data say nothing about quality; that is what the benchmark is for. The first sentence of
a fact's docstring is what must hold. A fact that says nothing about a model raises `NotApplicable` with the reason.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args
from unittest.mock import patch

import torch
from torch import Tensor

from ganbench.data import HORIZON, EventKind
from ganbench.engine import loop as engine
from ganbench.engine.turns import Turn
from ganbench.errors import NotApplicable
from ganbench.gates.contract.events import ITERATIONS, SPECS, Case, K, samples
from ganbench.model import Capability, Model
from ganbench.model.make import effective_config
from ganbench.pictures.views import draw_views

JUDGES = {"critic", "discriminator", "discriminators", "joint discriminator"}  # by the names of their players
Fact = Callable[[Case], None]


class Broken(Exception):
    """A fact that does not hold: what must hold, what was received, what to try."""

    def __init__(self, rule: str, got: object, cure: str) -> None:
        super().__init__(f"{rule}; got {got}; try: {cure}")
        self.rule, self.got, self.cure = rule, str(got), cure


def must(holds: bool, rule: str, got: object, cure: str) -> None:
    """Raise `Broken` where something does not hold."""
    if not holds:
        raise Broken(rule, got, cure)


def its_registration_names_what_there_is(case: Case) -> None:
    """`gives`, `events` and `version` of `@register` hold words and numbers that ganbench knows."""
    entry = case.entry
    for argument, known in (("gives", get_args(Capability)), ("events", get_args(EventKind))):
        unknown = sorted(set(getattr(entry, argument)) - set(known))
        must(not unknown, f"{argument} must be among {', '.join(known)}", ", ".join(unknown), f"correct {argument}=")
    whole = type(entry.version) is int and entry.version >= 1
    must(whole, "version must be a whole number from 1 on", entry.version, "version=1")


def its_config_survives_a_record(case: Case) -> None:
    """The config that a record holds as JSON makes the same config again."""
    cls = type(case.built())
    config = cls.configure(case.spec)
    written = effective_config(config)
    cure = "fields of numbers, strings, tuples and Literals, or a dataclass of them"
    try:
        again = cls.configure(case.spec, **json.loads(json.dumps(written)))
    except Exception as error:
        raise Broken("every field of Config must be made again from its JSON", error, cure) from error
    odd = sorted(k for k in written if getattr(again, k) != getattr(config, k))
    must(not odd, "every field of Config must be equal when made again from its JSON", ", ".join(odd), cure)


def it_builds(case: Case) -> None:
    """`build(spec)` makes networks whose weights are finite, or raises `NotApplicable` with the reason."""
    model = case.build()
    bad = [k for k, v in model.state_dict().items() if v.is_floating_point() and torch.isnan(v).any()]
    must(not bad, "first weights must be numbers", f"NaN in {', '.join(bad)}", "look at how they are initialised")


def it_trains(case: Case) -> None:
    """A few iterations end with finite losses and a model in eval mode."""
    model = case.built()
    try:
        done = case.train(model)
    except NotApplicable as reason:
        if hasattr(model, "fit"):
            raise
        cure = "raise it in build(spec), before any data is seen"
        raise Broken("a model trained by gradients must refuse data when it is built", reason, cure) from None
    must(not model.training, "a trained model must be in eval mode", "train mode", "leave train() and eval() alone")
    if hasattr(model, "fit"):
        return
    must(done.iterations == ITERATIONS, f"{ITERATIONS} iterations must be done", done.iterations, "look at fit")
    names = [p.name for p in model.players()]
    played = sorted(done.history)
    must(bool(set(names) & set(played)), f"one of {', '.join(names)} must play", played, "Player(updates=, span=)")


def it_samples_events_of_the_data(case: Case) -> None:
    """`sample(n, rng)` gives n finite float32 events of the data's shape and domain."""
    model, spec = case.trained, case.spec
    _needs(model, "sample")
    for n in (1, 5):
        x, shape = samples(model, n, 0), (n, *spec.event_shape)
        must(
            tuple(x.shape) == shape, f"sample({n}, rng) must be {shape}", tuple(x.shape), "view it as spec.event_shape"
        )
        must(x.dtype == torch.float32, "samples must be torch.float32", x.dtype, "x.float()")
        must(not x.requires_grad, "samples must carry no graph", "requires_grad", "x.detach()")
        _finite("samples", x)
        if spec.domain:
            (low, high), (start, end) = (float(x.min()), float(x.max())), spec.domain
            inside = start - 1e-3 <= low and high <= end + 1e-3  # rounding, as the samples of a run are checked
            must(inside, f"samples must lie in [{start:g}, {end:g}]", f"[{low:.4g}, {high:.4g}]", "end in a tanh")


def samples_depend_on_the_rng_they_are_given_and_on_nothing_else(case: Case) -> None:
    """`sample` gives the same events for the same rng and leaves torch's global generator alone."""
    model = case.trained
    _needs(model, "sample")
    cure = "pass generator=rng to every draw, and keep no state between calls"
    before = torch.get_rng_state()
    first = samples(model, 6, 1)
    untouched = torch.equal(torch.get_rng_state(), before)
    must(untouched, "sample must not draw from torch's global generator", "it moved", cure)
    _same("samples of one rng", {"samples": samples(model, 6, 1)}, {"samples": first}, cure)


def another_rng_gives_other_samples(case: Case) -> None:
    """`sample` gives other events for another rng."""
    model = case.trained
    _needs(model, "sample")
    if model.family == "control":
        raise NotApplicable("a control may hold one event")
    differ = not torch.equal(samples(model, 6, 2), samples(model, 6, 1))
    must(differ, "another rng must give other samples", "the same", "draw the latents from the rng that is given")


def the_same_seed_trains_the_same_model(case: Case) -> None:
    """Two trainings from one seed end with the same weights, bit by bit."""
    first, other = case.trained, case.built()
    case.train(other)
    cure = "draw from batch.rng, or while building from torch's global generator; not from numpy, random or the clock"
    _same("weights of two trainings from one seed", other.state_dict(), first.state_dict(), cure)


def a_training_that_was_cut_off_goes_on_with_the_same_bits(case: Case) -> None:
    """A training that is killed after a checkpoint and asked for again ends with the weights of an uncut one."""
    whole = case.trained
    if hasattr(whole, "fit"):
        raise NotApplicable("a model with fit has no turns to be cut between")

    def cut_after_a_save(iteration: int, share: float) -> None:
        if iteration > 1:
            raise InterruptedError

    with tempfile.TemporaryDirectory() as folder, patch.multiple(engine, CHUNK=1, SAVE_EVERY=0.0):
        path = Path(folder) / "checkpoint"
        with contextlib.suppress(InterruptedError):
            case.train(case.built(), checkpoint=path, on_progress=cut_after_a_save)
        model = case.built()
        case.train(model, "another", checkpoint=path)
    cure = "keep what changes over training in buffers (register_buffer), changed in place"
    if _differ(model.state_dict(), whole.state_dict()):
        uncut = case.built()
        case.train(uncut)
        if _differ(uncut.state_dict(), whole.state_dict()):
            raise NotApplicable("not reached: uncut trainings from one seed differ, too")
    _same("weights of a cut and an uncut training", model.state_dict(), whole.state_dict(), cure)


def weights_survive_a_round_trip(case: Case) -> None:
    """A fresh model that is given the weights samples what the trained one samples."""
    model = case.trained
    if model.family == "control":
        raise NotApplicable("what a control remembers is data, not weights")
    fresh = case.built().eval()
    cure = "hold all that sampling needs in parameters and buffers of fixed shape"
    try:
        fresh.load_state_dict({k: v.clone() for k, v in model.state_dict().items()})
    except RuntimeError as error:
        raise Broken("the weights of a trained model must fit a built one", error, cure) from error
    if "embed_words" in model.gives:
        _same("vectors of loaded weights", {"words": fresh.embed_words()}, {"words": model.embed_words()}, cure)
    if "sample" in model.gives:
        _same("samples of loaded weights", {"samples": samples(fresh, 4, 3)}, {"samples": samples(model, 4, 3)}, cure)


def each_player_moves_its_own_parameters_and_no_others(case: Case) -> None:
    """A player's turn has one finite loss and moves its own parameters alone, unless its `after` says otherwise."""
    model = _with_turns(case)
    batches, moved_at_all = case.batches(model), set[str]()
    must(bool(model.players()), "a model without fit must have players", "none", "return them from players()")
    for player in model.players():
        own = {id(p) for p in player.module.parameters()}
        must(bool(own), f"{player.name} must have parameters", "none", "Player(module=) holds what it moves")
        before = {k: p.detach().clone() for k, p in model.named_parameters()}
        loss = case.seeded(Turn(player, batches))
        shape = tuple(loss.shape)
        must(shape == (), f"the loss of {player.name} must be one number", shape, "loss.mean()")
        _finite(f"the loss of {player.name}", loss)
        moved = {k for k, p in model.named_parameters() if not torch.equal(p.detach(), before[k])}
        strangers = sorted(k for k, p in model.named_parameters() if k in moved and id(p) not in own)
        rule = f"{player.name} must move its own parameters alone"
        must(not strangers or player.after is not None, rule, f"it moved {', '.join(strangers)}", "keep losses pure")
        moved_at_all |= moved
    must(bool(moved_at_all), "some player must move something", "none did", "does the loss depend on the networks?")


def a_judges_turn_keeps_no_graph_of_the_other_players(case: Case) -> None:
    """What a critic or discriminator judges is detached from the networks that made it."""
    model = _with_turns(case)
    batches = case.batches(model)
    judges = [p for p in model.players() if p.name in JUDGES]
    if not judges:
        raise NotApplicable(f"no player is called {', '.join(sorted(JUDGES))}")
    for player in judges:
        own = {id(p) for p in player.module.parameters()}
        others = {k: p for k, p in model.named_parameters() if p.requires_grad and id(p) not in own}
        loss = case.seeded(partial(player.loss, batches.gather(batches.draw())))
        gradients = torch.autograd.grad(loss, list(others.values()), allow_unused=True) if others else ()
        reached = [k for k, g in zip(others, gradients, strict=True) if g is not None]
        rule = f"the loss of {player.name} must not reach other players' parameters"
        must(
            not reached, rule, f"gradients of {', '.join(reached)}", "make fakes under torch.no_grad(), or detach them"
        )


def it_declares_what_it_can_do(case: Case) -> None:
    """A capability that the class defines stands in `gives`, and one that stands there is defined."""
    cls = type(case.built())
    for capability in get_args(Capability):
        defined = getattr(cls, capability) is not getattr(Model, capability)
        if capability in cls.gives:
            there = defined or (capability == "reconstruct" and "from_codes" in cls.gives)
            must(there, f"{capability}, which gives names, must be defined", "not defined", f"def {capability}")
        elif capability not in ("features", "sample"):  # which bases define for all their models
            must(not defined, f"{capability}, which is defined, must stand in gives", cls.gives, "add it to gives=")


def each_capability_gives_what_it_should(case: Case) -> None:
    """What `gives` names returns a row for each event, finite and of the shape that the contract states."""
    model, spec = case.trained, case.spec
    rng = torch.Generator().manual_seed(5)
    x, known = case.data.events(slice(6)), torch.rand(spec.event_shape, generator=rng) < 0.5
    rows: dict[str, Callable[[], Tensor]] = {
        "encode": lambda: model.encode(x),
        "from_codes": lambda: model.from_codes(model.encode(x)),
        "reconstruct": lambda: model.reconstruct(x),
        "classify": lambda: model.classify(x),
        "log_prob": lambda: model.log_prob(x, rng),
        "features": lambda: model.features(x),
        "inpaint": lambda: model.inpaint(x, known, rng),
        "cluster": lambda: model.cluster(x),
        "tangents": lambda: model.tangents(x),
        "vary": lambda: model.vary(6, rng).transpose(0, 1),
        "translate": lambda: model.translate(_conditions(case), rng),
        "translate_back": lambda: model.translate_back(x, rng),
        "project": lambda: model.project(x, known, rng),
        "predict": lambda: model.predict(x[:, :3], HORIZON, rng),
        "edit": lambda: model.edit(x, _conditions(case), rng),
        "embed": lambda: model.embed(x, rng),
    }
    event = (6, *spec.event_shape)
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("from_codes", "reconstruct", "inpaint", "project", "translate", "edit"), event
    ) | {"classify": (6, K), "log_prob": (6,), "cluster": (6,), "predict": (6, HORIZON, *event[2:])}  # fmt: skip
    tried = [c for c in rows if c in model.gives]
    if "embed_words" in model.gives:
        vectors = model.embed_words()
        right = vectors.ndim == 2 and len(vectors) == spec.vocabulary
        must(right, f"embed_words must be ({spec.vocabulary}, F)", tuple(vectors.shape), "a row for each word")
        _finite("embed_words", vectors)
    elif not tried:
        raise NotApplicable("it names none beside sample")
    for capability in tried:
        try:
            with torch.no_grad():
                out = rows[capability]()
        except NotApplicable:  # not on this kind of event
            continue
        shape, wanted = tuple(out.shape), shapes.get(capability)
        must(wanted is None or shape == wanted, f"{capability} must be {wanted}", shape, "one row for each event")
        must(len(out) == 6, f"{capability} must give a row for each of 6 events", shape, "keep the batch first")
        if capability in ("encode", "features", "embed"):
            must(out.ndim == 2, f"{capability} must be (B, F)", shape, "flatten(1)")
        if capability in ("tangents", "vary"):
            must(shape[2:] == event[1:], f"{capability} must end in {event[1:]}", shape, "events come last")
        if capability == "cluster":
            must(out.dtype == torch.int64, "clusters must be torch.int64", out.dtype, "argmax")
        else:
            _finite(capability, out)
        if capability == "from_codes" and "reconstruct" in model.gives:
            near = torch.allclose(out, model.reconstruct(x), rtol=1e-3, atol=1e-4)  # batched twice: float32 rounding
            must(near, "from_codes(encode(x)) must be reconstruct(x)", "another event", "leave reconstruct undefined")
        if capability == "inpaint":
            kept = torch.allclose(out[:, known], x[:, known], rtol=1.3e-6, atol=1e-5)  # of float32, as torch.testing
            must(kept, "inpaint must keep the known pixels", "others", "torch.where(known, x, filled)")


def its_pictures_can_be_drawn(case: Case) -> None:
    """Every view of the model that `gives` allows can be drawn; one that cannot would fail its job."""
    if not case.spec.is_image:
        raise NotApplicable("pictures are drawn of images")
    with tempfile.TemporaryDirectory() as folder:
        x, cond = case.data.events(), case.data.conditions(slice(None))
        drawn = draw_views(Path(folder), case.trained, x, torch.Generator().manual_seed(0), cond)
        there, wanted = sorted(p.name for p in Path(folder).iterdir()), sorted(f"{view}.png" for view in drawn)
    must(there == wanted, f"files must be {wanted}", there, "write no files of your own")


FACTS: tuple[Fact, ...] = (
    its_registration_names_what_there_is,
    it_builds,
    its_config_survives_a_record,
    it_declares_what_it_can_do,
    it_trains,
    it_samples_events_of_the_data,
    samples_depend_on_the_rng_they_are_given_and_on_nothing_else,
    another_rng_gives_other_samples,
    the_same_seed_trains_the_same_model,
    a_training_that_was_cut_off_goes_on_with_the_same_bits,
    weights_survive_a_round_trip,
    each_player_moves_its_own_parameters_and_no_others,
    a_judges_turn_keeps_no_graph_of_the_other_players,
    each_capability_gives_what_it_should,
    its_pictures_can_be_drawn,
)
BY_NAME = {fact.__name__: fact for fact in FACTS}
ONCE = {  # facts that kinds of data do not change: looked at on the first kind only
    its_registration_names_what_there_is,
    it_declares_what_it_can_do,
    the_same_seed_trains_the_same_model,
    a_training_that_was_cut_off_goes_on_with_the_same_bits,
}


def plan(kinds: Sequence[str]) -> Iterator[tuple[str, Fact]]:
    """Which facts are looked at on which kinds of data: kind by kind, so that one training serves all facts of it."""
    images = [kind for kind in kinds if SPECS[kind].is_image]
    for kind in kinds:
        for fact in FACTS:
            pictured = kind in images[:1] if fact is its_pictures_can_be_drawn else True
            if pictured and (fact not in ONCE or kind == kinds[0]):
                yield kind, fact


def _needs(model: Model, capability: str) -> None:
    if capability not in model.gives:
        raise NotApplicable(f"gives does not name {capability}")


def _with_turns(case: Case) -> Model:
    model = case.built()
    if hasattr(model, "fit"):
        raise NotApplicable("a model with fit has no turns")
    return model


def _conditions(case: Case) -> Tensor:
    found = case.data.conditions(slice(6))
    if found is None:
        raise NotApplicable("this kind of data has no conditions")
    return found


def _finite(what: str, x: Tensor) -> None:
    count = int((~torch.isfinite(x)).sum())
    must(
        count == 0, f"{what} must be finite", f"{count} of {x.numel()} not finite", "look for log 0, 0 / 0 and overflow"
    )


def _differ(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Names of tensors that are not the same, bit by bit; NaN equals NaN."""
    return [k for k in before if k not in now or not torch.equal(now[k].nan_to_num(), before[k].nan_to_num())]


def _same(what: str, now: Mapping[str, Any], before: Mapping[str, Any], cure: str) -> None:
    odd = _differ(now, before)
    must(not odd, f"{what} must be the same, bit by bit", f"others in {', '.join(odd)}", cure)
