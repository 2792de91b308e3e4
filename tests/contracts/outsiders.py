"""Files of models as outsiders write them: a good one, and for each fact one that breaks it by a single change."""

from __future__ import annotations

from dataclasses import dataclass

GOOD = '''"""A hinge loss for the discriminator, the mean logit for the generator."""

import random
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.model import GAN, Batch, register


@register("mine", family="adversarial", gives=("sample", "features"))
class Mine(GAN):
    @dataclass(frozen=True)
    class Config(GAN.Config):
        margin: Any = 1.0

    def build(self, spec):
        super().build(spec)
        self.register_buffer("turns", torch.zeros(()))
        self.count = torch.zeros(())

    def discriminator_loss(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            fake = self.generate(len(batch.x), batch.rng)
        return F.relu(1 - self.discriminator(batch.x)).mean() + F.relu(1 + self.discriminator(fake)).mean()

    def generator_loss(self, batch: Batch) -> Tensor:
        self.turns += 1
        self.count += 1
        return -self.discriminator(self.generate(len(batch.x), batch.rng)).mean() * self.turns

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        return self.generate(n, rng)

    def features(self, x: Tensor) -> Tensor:
        return self.discriminator.features(x).flatten(1)
'''


@dataclass(frozen=True)
class Change:
    """One change of the good file, and the fact that it breaks."""

    breaks: str
    edits: tuple[tuple[str, str], ...]
    says: str  # part of what is said about it

    def apply(self) -> str:
        """The changed file."""
        text = GOOD
        for old, new in self.edits:
            assert old in text, old
            text = text.replace(old, new)
        return text


SAMPLE = "return self.generate(n, rng)"
COUNT = "        self.count += 1\n"
CHANGES = (
    Change("its registration names what there is", (('"features")', '"feature")'),), "correct gives="),
    Change("its config survives a record", (("Any = 1.0", "Any = torch.float32"),), "margin"),
    Change("it builds", (("super().build(spec)", "super().build(spec[0])"),), "look at line 21 of mine.py"),
    Change("it declares what it can do", (("features(self, x", "classify(self, x"),), "add it to gives="),
    Change("it trains", ((COUNT, COUNT + "        assert self.count < 2, 'no more'\n"),), "no more"),
    Change("it samples events of the data", ((SAMPLE, SAMPLE + ".double()"),), "x.float()"),
    Change(
        "samples depend on the rng they are given and on nothing else",
        ((SAMPLE, f"torch.rand(1)\n        {SAMPLE}"),),
        "generator=rng",
    ),
    Change("another rng gives other samples", ((SAMPLE, "return self.generate(n, rng.manual_seed(0))"),), "the same"),
    Change(
        "the same seed trains the same model", (("* self.turns", "* random.SystemRandom().random()"),), "generator."
    ),
    Change(
        "a training that was cut off goes on with the same bits",
        (("* self.turns", "* (self.count % 3).cos()"),),
        "register_buffer",
    ),
    Change("weights survive a round trip", ((SAMPLE, SAMPLE + " * self.count.cos()"),), "buffers"),
    Change(
        "each player moves its own parameters and no others",
        ((COUNT, COUNT + "        next(self.discriminator.parameters()).data.mul_(0.9)\n"),),
        "it moved discriminator",
    ),
    Change(
        "a judges turn keeps no graph of the other players",
        (("with torch.no_grad():", "with torch.enable_grad():"),),
        "or detach them",
    ),
    Change("each capability gives what it should", ((".flatten(1)\n", ".flatten(1)[:1]\n"),), "keep the batch first"),
    Change(
        "its pictures can be drawn",
        (
            ('"features")', '"features", "vary")'),
            (
                "    def sample(",
                "    def vary(self, n, rng):\n        six = self.generate(6, rng)\n"
                "        return six.view(1, n, *self.spec.event_shape)\n\n    def sample(",
            ),
        ),
        "mine.py",
    ),
)
