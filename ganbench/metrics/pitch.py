"""The pitch of notes, measured on the wave that an image of magnitude and frequency stands for.

Source      Engel et al. 2019 score pitch by a classifier of spectrograms; here it is measured, by YIN.
Shapes      N samples, F bins, T frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganbench.errors import NotApplicable
from ganbench.metrics.base import Score, check_events, metric, signature
from ganbench.metrics.conditional import check_labels, share_of
from ganbench.ops.spectrograms import Sound, hertz

CENTS = 50.0  # how far a pitch may be off: half a semitone
MARGIN = 2 ** (7 / 12)  # a fifth beyond the lowest and highest note, where pitches are looked for


@metric("pitch_accuracy", direction="max", bounds=(0, 1))
def pitch_accuracy(samples: Tensor, sample_labels: Tensor, sound: Sound) -> Score:
    """Share of samples whose wave has the pitch that was asked for, to half a semitone: (N, 2, F, T), (N,).

    Raises `NotApplicable` for data that is no sound.
    """
    check_events(samples, "samples")
    y = check_labels(sample_labels, len(samples), len(sound.pitches), "sample_labels")
    asked = torch.tensor([hertz(m) for m in sound.pitches], dtype=torch.float64)[y]
    low, high = hertz(min(sound.pitches)) / MARGIN, hertz(max(sound.pitches)) * MARGIN
    if high >= sound.rate / 2:
        raise NotApplicable(f"a rate of {sound.rate} holds no pitches up to {high:.0f} Hz")
    waves = torch.cat([sound.to_wave(part) for part in samples.split(500)])
    found = torch.cat([sound.pitch(part, low, high) for part in waves.split(100)])
    right = (1200 * (found / asked).log2()).abs() < CENTS
    text = signature("pitch_accuracy", "yin", f"cents={CENTS:g}", f"K={len(sound.pitches)}", f"n={len(samples)}")
    return share_of(right, "pitch_accuracy", text)
