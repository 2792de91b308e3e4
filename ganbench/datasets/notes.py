"""Notes as images of log magnitude and instantaneous frequency: additive synthesis with exact pitch, or a soundfont.

Shapes      N notes, L samples, P partials.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ganbench import seeding
from ganbench.data import Split
from ganbench.datasets.base import Dataset, Source, assemble, dataset
from ganbench.errors import BadInput, MissingResource
from ganbench.ops.spectrograms import Sound, hertz

VERSION = 2
RATE = 4000
PITCHES = tuple(range(60, 84))  # C4 to B5, 262 to 988 Hz
SIZES = {"train": 100, "holdout": 20, "test": 20}  # notes of each pitch
RELEASE = 0.015  # seconds in which a note ends
HIGHEST = 0.8  # of half the rate: partials above are left out
FONTS = ("/usr/share/sounds/sf2/TimGM6mb.sf2", "/usr/share/soundfonts/TimGM6mb.sf2")


@dataset("notes", event="image", iterations={"smoke": 10, "quick": 100, "standard": 1500}, labelled=True, builtin=True)
def notes(source: Source) -> Dataset:
    """Two octaves of synthetic notes of a tenth of a second at 4 kHz, 24 pitches, with timbres drawn at random."""
    sound = Sound(RATE, PITCHES)
    splits = []
    for part, each in SIZES.items():
        rng = seeding.stream("data", "notes", f"v{VERSION}", part)
        y = torch.arange(len(PITCHES)).repeat(each)[torch.randperm(each * len(PITCHES), generator=rng)]
        f0 = torch.tensor([hertz(m) for m in PITCHES], dtype=torch.float64)[y]
        splits.append(Split(sound.to_image(additive(f0, sound.rate, sound.length, rng), sound.rate), y))
    return assemble("notes", *splits, domain=(-1, 1), n_classes=len(PITCHES), sound=sound, version=VERSION)


def additive(f0: Tensor, rate: int, length: int, rng: torch.Generator) -> Tensor:
    """Sums of harmonic partials under an envelope, of random timbre, loudness and phases: (N,) Hz -> (N, L) in [-1, 1].

    Raises `BadInput` for a rate that cannot hold the highest note.
    """
    top = HIGHEST * rate / 2
    if float(f0.max()) > top:
        raise BadInput(
            f"a rate of {rate} holds notes up to {top:.0f} Hz; got {float(f0.max()):.0f}: choose a higher rate"
        )
    n, partials = len(f0), int(top / float(f0.min()))
    number = torch.arange(1, partials + 1, dtype=torch.float64)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=rng, dtype=torch.float64)

    roll_off, even = uniform(0.5, 2.0, 1), uniform(0.1, 1.0, 1)
    amplitude = number**-roll_off * torch.where(number % 2 == 0, even, 1.0) * (f0[:, None] * number <= top)
    phase = uniform(-math.pi, math.pi, partials)
    t = torch.arange(length, dtype=torch.float64) / rate
    wave = torch.zeros(n, length, dtype=torch.float64)
    for p in range(partials):
        wave += amplitude[:, p : p + 1] * torch.cos(2 * math.pi * f0[:, None] * number[p] * t + phase[:, p : p + 1])
    attack, decay = uniform(0.005, 0.02, 1), uniform(1.0, 15.0, 1)
    release = 0.5 - 0.5 * torch.cos(math.pi * ((length / rate - t) / RELEASE).clamp(max=1))
    rise = 0.5 - 0.5 * torch.cos(math.pi * (t / attack).clamp(max=1))
    wave *= rise * torch.exp(-decay * t) * release
    return uniform(0.4, 0.9, 1) * wave / wave.abs().amax(1, keepdim=True)


@dataset("soundfont_notes", event="image", iterations={"smoke": 10, "quick": 100, "standard": 1500}, labelled=True)
def soundfont_notes(source: Source) -> Dataset:
    """The same pitches played by sixteen instruments of a General MIDI soundfont, where one is installed."""
    sound = Sound(RATE, PITCHES)
    render = _renderer(_font(source))
    splits = []
    for velocities in ((50, 65, 80, 95, 110, 125), (70,), (100,)):
        played = [(k, p, v) for k in range(len(PITCHES)) for p in range(0, 64, 4) for v in velocities]
        order = torch.randperm(len(played), generator=seeding.stream("data", "soundfont_notes", str(velocities)))
        played = [played[i] for i in order.tolist()]
        wave = torch.stack([render(PITCHES[k], program, velocity, sound) for k, program, velocity in played])
        splits.append(Split(sound.to_image(wave, sound.rate), torch.tensor([k for k, _, _ in played])))
    return assemble("soundfont_notes", *splits, domain=(-1, 1), n_classes=len(PITCHES), sound=sound, version=VERSION)


def _font(source: Source) -> Path:
    """The soundfont: TimGM6mb.sf2 in the data directory, or where a distribution puts it. Raises `MissingResource`."""
    roots = [source.root / "TimGM6mb.sf2"] if source.root else []
    for path in [*roots, *map(Path, FONTS)]:
        if path.is_file():
            return path
    raise MissingResource(
        "soundfont_notes: no TimGM6mb.sf2 in "
        f"{source.root or 'GANBENCH_DATA'} or {os.path.dirname(FONTS[0])}; `apt-get install timgm6mb-soundfont`, "
        "or `ganbench data get soundfont_notes` where a data directory holds it"
    )


def _renderer(font: Path) -> Callable[[int, int, int, Sound], Tensor]:
    """One note as a wave (L,) in [-1, 1]. Raises `MissingResource` where the renderer is not installed."""
    try:
        import tinysoundfont
    except ImportError:
        raise MissingResource("soundfont_notes: `pip install ganbench[sound]`, a renderer of soundfonts") from None
    import numpy as np

    def render(midi: int, program: int, velocity: int, sound: Sound) -> Tensor:
        synth = tinysoundfont.Synth(samplerate=sound.rate)
        bank = synth.sfload(str(font))
        synth.program_select(0, bank, 0, program)
        synth.noteon(0, midi, velocity)
        stereo = np.frombuffer(synth.generate(sound.length), np.float32).reshape(-1, 2)
        wave = torch.from_numpy(stereo.mean(1).astype(np.float64))
        return 0.8 * wave / wave.abs().max().clamp(min=1e-6)

    return render
