"""Notes as images and back: the inverse is exact, frequencies are those of tones, pitches those of the synthesis."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.io import wavfile

from ganbench.datasets.load import load
from ganbench.datasets.notes import PITCHES, RATE, additive
from ganbench.datasets.writing import check_target, write_samples
from ganbench.errors import BadInput
from ganbench.metrics.pitch import pitch_accuracy
from ganbench.ops.spectrograms import Sound, frequency_to_phase, hertz, phase_to_frequency, wrapped

SOUND = Sound(RATE, PITCHES)


def notes(n_each: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    y = torch.arange(len(PITCHES)).repeat(n_each)
    f0 = torch.tensor([hertz(m) for m in PITCHES], dtype=torch.float64)[y]
    return additive(f0, RATE, SOUND.length, torch.Generator().manual_seed(0)), y


def test_waves_come_back_with_more_than_60_decibels() -> None:
    """Of each note; only the dropped highest bin and float32 images are lost."""
    wave, _ = notes()
    again = SOUND.to_wave(SOUND.to_image(wave, RATE)).double()
    snr = 10 * (wave.square().sum(1) / (wave - again).square().sum(1)).log10()
    assert float(snr.min()) > 60


def test_images_of_waves_lie_in_the_domain() -> None:
    image = SOUND.to_image(notes()[0], RATE)
    assert tuple(image.shape[1:]) == (2, SOUND.bins, SOUND.frames)
    assert -1 <= float(image.min()) < 0 < float(image.max()) <= 1


@pytest.mark.parametrize("f", [130.0, 262.0, 700.0, 1201.0])
def test_a_tone_has_one_frequency_in_every_frame(f: float) -> None:
    """2 f hop / rate, wrapped, where frames lie inside the tone and bins near it."""
    t = torch.arange(SOUND.length, dtype=torch.float64) / RATE
    image = SOUND.to_image(torch.cos(2 * math.pi * f * t)[None], RATE)
    nearest = round(f * SOUND.window / RATE)
    expected = float(wrapped(torch.tensor(2 * f * SOUND.hop / RATE)))
    seen = image[0, 1, nearest, 5:-5].double()
    assert torch.allclose(wrapped(seen - expected), torch.zeros(len(seen)).double(), atol=0.01)


def test_phase_and_frequency_are_inverses() -> None:
    phase = 2 * torch.rand(3, 5, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    frequency = phase_to_frequency(phase)
    assert torch.allclose(wrapped(frequency_to_phase(frequency) - phase), torch.zeros(1).double(), atol=1e-12)
    assert float(frequency.min()) > -1
    assert float(frequency.max()) <= 1
    assert wrapped(torch.tensor([1.0, -1.0, 3.5, -2.25])).tolist() == [1.0, 1.0, -0.5, -0.25]


def test_every_note_of_the_synthesis_has_its_pitch_and_no_other_octave() -> None:
    wave, y = notes(8)
    found = SOUND.pitch(wave, hertz(48), hertz(95))  # an octave beyond either end
    asked = torch.tensor([hertz(m) for m in PITCHES], dtype=torch.float64)[y]
    cents = 1200 * (found / asked).log2()
    assert float((cents.abs() < 50).double().mean()) > 0.99


def test_a_missing_fundamental_and_a_pure_tone_are_heard_at_their_period() -> None:
    """Partials 2 to 5 of 220 Hz repeat every 1 / 220 s; a tone of 523.3 Hz is not heard at 261.6."""
    t = torch.arange(SOUND.length, dtype=torch.float64) / RATE
    hollow = sum(torch.cos(2 * math.pi * 220 * k * t + k) for k in range(2, 6))
    tone = torch.cos(2 * math.pi * 523.3 * t)
    found = SOUND.pitch(torch.stack([hollow, tone]), 100, 700)
    assert found.tolist() == pytest.approx([220, 523.3], rel=0.01)


def test_noise_has_any_pitch() -> None:
    """What repeats nowhere gets the lag at which it differs least: right by half a semitone in about 1 of 27 cases."""
    wave = torch.randn(200, SOUND.length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = SOUND.pitch(wave, hertz(53), hertz(90))
    assert float(((1200 * (found / hertz(72)).log2()).abs() < 50).double().mean()) < 0.15


def test_pitch_accuracy_counts_octaves_as_wrong() -> None:
    data = load("notes")
    x, y = data.test.x[:100], data.test.y[:100]
    assert pitch_accuracy(samples=x, sample_labels=y, sound=data.sound).value > 0.98
    assert pitch_accuracy(samples=x, sample_labels=(y + 12) % 24, sound=data.sound).value == 0
    assert pitch_accuracy(samples=x, sample_labels=(y + 1) % 24, sound=data.sound).value < 0.02


def test_rates_and_lengths_that_do_not_fit_are_refused() -> None:
    wave, _ = notes(1)
    with pytest.raises(BadInput, match="resample"):
        SOUND.to_image(wave, 8000)
    with pytest.raises(BadInput, match="cut or pad"):
        SOUND.to_image(wave[:, :100], RATE)
    with pytest.raises(BadInput, match="higher rate"):
        additive(torch.tensor([988.0]), 2000, 100, torch.Generator())
    with pytest.raises(BadInput, match="hold no pitches"):
        SOUND.pitch(wave, 10, 700)
    with pytest.raises(BadInput, match="images must have shape"):
        SOUND.to_wave(torch.zeros(1, 2, 16, 16))


def test_a_wav_holds_the_notes_one_after_the_other(tmp_path) -> None:
    data = load("notes")
    path = tmp_path / "notes.wav"
    check_target(path, 3, data.spec, data.sound)
    write_samples(path, [data.test.x[:2], data.test.x[2:3]], 3, data.spec, data.sound)
    rate, heard = wavfile.read(path)
    wave = data.sound.to_wave(data.test.x[:3]).flatten()
    assert rate == RATE
    assert len(heard) == 3 * SOUND.length
    assert torch.allclose(torch.from_numpy(heard / 32767).float(), wave, atol=1 / 32767)
    with pytest.raises(BadInput, match="has none"):
        check_target(tmp_path / "x.wav", 3, load("digits").spec, None)
