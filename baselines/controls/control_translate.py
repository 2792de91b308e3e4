"""Translations that learn nothing of the map: the source itself, the mean target, the nearest source's target.

Not models: control rows. A translator that is not better than these has not translated. Enlarging by cubic
interpolation is the row that super-resolution must beat.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.model import Budget, DataSpec, Model, NotApplicable, Split, register

ROWS = 200  # sources that are compared with all training ones at a time


class Translation(Model):
    """What images are made from."""

    def build(self, spec: DataSpec) -> None:
        if spec.cond is None or spec.cond.kind != "image":
            raise NotApplicable(f"{self.name} makes images from images; {spec.name} has no such sources")
        self.spec = spec
        if self.needs_sources:
            self.register_buffer("targets", torch.zeros(0, *spec.event_shape))
            self.register_buffer("sources", torch.zeros(0, *spec.cond.shape))

    needs_sources = False
    targets: Tensor
    sources: Tensor

    def fit(self, data: Split, budget: Budget, rng: torch.Generator) -> None:
        if self.needs_sources:
            found = data.conditions(slice(None))
            assert found is not None
            self.targets, self.sources = data.events().clone(), found.clone()


@register("control_translate_copy", family="control", gives=("translate",), needs=("cond",), conditions=("image",))
class Copy(Translation):
    """The source, scaled by copies to the target's sides; its channels meaned where they are not as many."""

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        channels, *sides = self.spec.event_shape
        x = F.interpolate(cond, tuple(sides), mode="nearest")
        return x if x.shape[1] == channels else x.mean(1, keepdim=True).expand(-1, channels, -1, -1).clone()


@register("control_translate_bicubic", family="control", gives=("translate",), needs=("cond",), conditions=("image",))
class Bicubic(Translation):
    """The source enlarged by cubic interpolation, clamped to the domain."""

    def build(self, spec: DataSpec) -> None:
        super().build(spec)
        assert spec.cond is not None
        (channels, *small), (wanted, *large) = spec.cond.shape, spec.event_shape
        if channels != wanted or small >= large:
            raise NotApplicable(
                f"{self.name} enlarges images; {spec.name} makes {spec.event_shape} from {spec.cond.shape}"
            )

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        return F.interpolate(cond, tuple(self.spec.event_shape[1:]), mode="bicubic", align_corners=False).clamp(-1, 1)


@register("control_translate_mean", family="control", gives=("translate",), needs=("cond",), conditions=("image",))
class Mean(Translation):
    """The mean of the training targets, whatever the source."""

    needs_sources = True

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        return self.targets.mean(0, keepdim=True).expand(len(cond), *self.spec.event_shape).clone()


@register(
    "control_translate_neighbour",
    family="control",
    gives=("translate",),
    needs=("cond", "pairs"),
    conditions=("image",),
)
class Neighbour(Translation):
    """The target of the training source that is the nearest in Euclidean distance."""

    needs_sources = True

    def translate(self, cond: Tensor, rng: torch.Generator) -> Tensor:
        mine = self.sources.flatten(1)
        found = [torch.cdist(part.flatten(1), mine).argmin(1) for part in cond.split(ROWS)]
        return self.targets[torch.cat(found)]
