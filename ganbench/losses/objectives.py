"""Every adversarial objective by name: what the discriminator minimises and what the generator minimises.

Shapes      B batch; both losses take real and fake logits or scores, (B,), (B,) -> (). Only the relativistic
            generators look at the real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from ganbench.losses import adversarial as adv
from ganbench.losses.divergences import DIVERGENCES, Divergence, generator_f, generator_f_exact, variational_bound


@dataclass(frozen=True)
class Objective:
    """A pair of losses on logits, and the facts about them that decide what they combine with."""

    name: str
    discriminator: Callable[[Tensor, Tensor], Tensor]  # real, fake -> ()
    generator: Callable[[Tensor, Tensor], Tensor]  # real, fake -> ()
    cross_entropy: bool = False  # trained on labels 1 and 0, which can be smoothed
    needs_lipschitz: bool = False  # unbounded unless something holds the critic Lipschitz
    zero_sum: bool = False  # the generator minimises minus the discriminator's loss
    relative: bool = False  # the generator's loss looks at real logits too


def _fake_only(loss: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda real, fake: loss(fake)


def _swapped(loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda real, fake: loss(fake, real)


def _f_objective(divergence: Divergence) -> Objective:
    def discriminator(real: Tensor, fake: Tensor) -> Tensor:
        return -variational_bound(divergence, real, fake)

    # Reverse KL's own generator, -E (V - 1), does not saturate; the heuristic would weigh each fake by exp(-V).
    exact = divergence.name == "rkl"
    generator = partial(generator_f_exact if exact else generator_f, divergence)
    return Objective(f"f_{divergence.name}", discriminator, _fake_only(generator), zero_sum=exact)


OBJECTIVES: dict[str, Objective] = {
    o.name: o
    for o in (
        Objective(
            "minimax", adv.discriminator_bce, _fake_only(adv.generator_minimax), cross_entropy=True, zero_sum=True
        ),
        Objective(
            "non_saturating", adv.discriminator_bce, _fake_only(adv.generator_non_saturating), cross_entropy=True
        ),
        Objective("least_squares", adv.discriminator_least_squares, _fake_only(adv.generator_least_squares)),
        Objective(
            "wasserstein",
            adv.critic_wasserstein,
            _fake_only(adv.generator_wasserstein),
            needs_lipschitz=True,
            zero_sum=True,
        ),
        Objective("hinge", adv.discriminator_hinge, _fake_only(adv.generator_wasserstein)),
        Objective(
            "relativistic", adv.discriminator_relativistic, _swapped(adv.discriminator_relativistic), relative=True
        ),
        Objective(
            "relativistic_average",
            adv.discriminator_relativistic_average,
            _swapped(adv.discriminator_relativistic_average),
            relative=True,
        ),
        *map(_f_objective, DIVERGENCES.values()),
    )
}
