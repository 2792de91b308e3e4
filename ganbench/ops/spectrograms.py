"""Waves as images of log magnitude and instantaneous frequency, and back; the pitch of a wave.

Source      Engel et al. 2019 (arXiv:1902.08710, GANSynth); de Cheveigne and Kawahara 2002 (YIN, steps 1 to 5).
Departures  The highest bin is dropped, in place of the one at 0 Hz: these notes have no energy there.
Shapes      N waves, L samples of a wave, F bins, T frames, K pitches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganbench.errors import BadInput

FLOOR = 1e-2  # added to magnitudes, whose log would have no end
MIDDLE, HALF = -1.25, 4.2  # of log magnitudes, so that those of waves in [-1, 1] span -0.8 to 0.9
THRESHOLD = 0.15  # of YIN: the first dip below it is the period; where there is none, the lowest place is
FINER = 4  # times that a wave is made finer before its period is looked for


@dataclass(frozen=True)
class Sound:
    """How waves are cut into frames, and which pitches the classes of a data set are."""

    rate: int  # samples a second
    pitches: tuple[int, ...] = ()  # MIDI numbers
    bins: int = 32
    frames: int = 32

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return 2 * self.bins

    @property
    def hop(self) -> int:
        """Samples from one frame to the next: three quarters of a frame overlap."""
        return self.window // 4

    @property
    def length(self) -> int:
        """Samples of a wave: every one of them is in four frames."""
        return (self.frames - 1) * self.hop - self.window + 2 * self.hop

    def to_image(self, wave: Tensor, rate: int) -> Tensor:
        """Log magnitude and instantaneous frequency: (N, L) in [-1, 1] -> (N, 2, F, T) in [-1, 1].

        Raises `BadInput` for another rate or length.
        """
        if rate != self.rate:
            raise BadInput(f"waves must be of {self.rate} samples a second; got {rate}: resample them first")
        if wave.ndim != 2 or wave.shape[1] != self.length:
            raise BadInput(f"waves must have shape (N, {self.length}); got {tuple(wave.shape)}: cut or pad them")
        padded = F.pad(wave.double(), (self.window - self.hop, self.window - self.hop))
        frames = padded.unfold(1, self.window, self.hop) * self._hann(wave.device)  # (N, T, window)
        # numpy's transform has the same bits on every processor and with any number of threads; these are data.
        spectrum = torch.from_numpy(np.fft.rfft(frames.cpu().numpy())).to(wave.device)[..., : self.bins].mT  # (N, F, T)
        magnitude = ((spectrum.abs() + FLOOR).log() - MIDDLE) / HALF
        return torch.stack([magnitude, phase_to_frequency(spectrum.angle() / math.pi)], 1).float()

    def to_wave(self, image: Tensor) -> Tensor:
        """The wave by overlapping frames, (N, 2, F, T) -> (N, L): the inverse, and least squares elsewhere."""
        if image.shape[1:] != (2, self.bins, self.frames):
            raise BadInput(f"images must have shape (N, 2, {self.bins}, {self.frames}); got {tuple(image.shape)}")
        log_magnitude, frequency = image.double().unbind(1)
        magnitude = ((log_magnitude * HALF + MIDDLE).exp() - FLOOR).clamp(min=0)
        spectrum = torch.polar(magnitude, frequency_to_phase(frequency) * math.pi)
        window = self._hann(image.device)
        frames = torch.fft.irfft(F.pad(spectrum.mT, (0, 1)), n=self.window) * window  # (N, T, window)
        total = (self.frames - 1) * self.hop + self.window
        options = {"output_size": (1, total), "kernel_size": (1, self.window), "stride": (1, self.hop)}
        wave = F.fold(frames.mT, **options).flatten(1)
        weight = F.fold(window.square().expand(1, self.frames, -1).mT, **options).flatten(1)
        cut = self.window - self.hop
        return (wave / weight.clamp(min=1e-9))[:, cut : cut + self.length].float()

    def pitch(self, wave: Tensor, low: float, high: float) -> Tensor:
        """Fundamental frequency in Hz between two bounds by YIN: (N, L) -> (N,).

        The first dip of the normalised difference below a threshold, not the deepest: that one may be an octave below.
        """
        n, length = wave.shape
        spectrum = torch.fft.rfft(wave.double())
        fine = torch.fft.irfft(spectrum, n=FINER * length)  # band-limited interpolation
        shortest, longest = (int(FINER * self.rate / f) for f in (high, low))
        width = fine.shape[1] - longest - 2
        if shortest < 2 or width < longest:
            raise BadInput(f"{length} samples at {self.rate} a second hold no pitches of {low:.0f} to {high:.0f} Hz")
        lags = torch.arange(longest + 2, device=wave.device)
        size = fine.shape[1] + width  # so that products do not wrap around
        products = torch.fft.irfft(
            torch.fft.rfft(fine, n=size) * torch.fft.rfft(fine[:, :width], n=size).conj(), n=size
        )
        power = F.pad(fine.square().cumsum(1), (1, 0))
        power = power[:, width : width + longest + 2] - power[:, : longest + 2]  # of the wave from each lag on
        difference = power[:, :1] + power - 2 * products[:, : longest + 2]  # (N, lags)
        mean = difference[:, 1:].cumsum(1) / lags[1:]
        normalised = torch.cat([torch.ones_like(mean[:, :1]), difference[:, 1:] / mean.clamp(min=1e-12)], 1)
        here, before, after = normalised[:, 1:-1], normalised[:, :-2], normalised[:, 2:]
        allowed = lags[1:-1] >= shortest
        dip = (here <= before) & (here < after) & (here < THRESHOLD) & allowed
        first = torch.where(dip.any(1), dip.to(torch.int8).argmax(1), torch.where(allowed, here, 9.0).argmin(1)) + 1
        a, b, c = (normalised[torch.arange(n), first + i] for i in (-1, 0, 1))
        curve = a - 2 * b + c
        period = first + torch.where(curve > 0, 0.5 * (a - c) / curve.clamp(min=1e-12), 0.0)
        return FINER * self.rate / period

    def _hann(self, device: torch.device) -> Tensor:
        return torch.hann_window(self.window, dtype=torch.float64, device=device)


def wrapped(x: Tensor) -> Tensor:
    """The same angle, in units of pi, in (-1, 1]."""
    return x - 2 * torch.ceil((x - 1) / 2)


def phase_to_frequency(phase: Tensor) -> Tensor:
    """Differences in time of unwrapped phases, the first phase in front; all in units of pi: (..., T) -> (..., T)."""
    return wrapped(torch.cat([phase[..., :1], phase.diff(dim=-1)], -1))


def frequency_to_phase(frequency: Tensor) -> Tensor:
    """Phases in (-1, 1] of which these are the instantaneous frequencies: (..., T) -> (..., T)."""
    return wrapped(frequency.cumsum(-1))


def hertz(midi: float) -> float:
    """Frequency of a MIDI number; 69 is 440 Hz."""
    return 440.0 * 2 ** ((midi - 69) / 12)
