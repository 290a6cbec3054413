"""Raw captures: pysmurf's response from them, and no saturation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smurfq.sim.radio import raw
from tests.unit.sim.radio.conftest import TunedSlot

N_SAMPLES = 2**15


def test_the_response_has_the_cables_delay_and_the_notches(slot: TunedSlot) -> None:
    model, settings = slot.bands[3], slot.settings(3)
    played = raw.played(model, settings, 2**17, noise=True)
    response = np.fft.fft(raw.heard(model, settings, slot.turns, played)) / np.fft.fft(played)
    f = np.fft.fftfreq(played.size, 1 / raw.SAMPLES_PER_US)
    order = np.argsort(f)
    f, response = f[order], response[order]
    near = np.abs(f) < 100
    slope = np.polyfit(f[near], np.unwrap(np.angle(response[near])), 1)[0]
    assert abs(-slope / (2 * np.pi) - model.delays.cable_us) < 1e-3
    size = np.abs(response)
    for at in model.resonators.frequency_mhz[model.resonators.band == 3][:20] - model.center_mhz:
        assert size[np.abs(f - at) < 0.15].min() < 0.95 * np.median(size[near])


def test_nothing_saturates_as_a_setup_leaves_it_and_without_attenuation_it_does(slot: TunedSlot) -> None:
    model, settings = slot.bands[0], slot.settings()
    played = raw.played(model, settings, N_SAMPLES, noise=True)
    heard = raw.counts(raw.heard(model, settings, slot.turns, played))
    assert max(np.abs(part).max() for part in heard) < 31000
    opened = replace(settings, chain=replace(settings.chain, up=0, down=0))
    heard = raw.counts(raw.heard(model, opened, slot.turns, played))
    assert max(np.abs(part).max() for part in heard) == raw.FULL_SCALE


def test_the_same_noise_is_played_each_time_and_tones_when_it_is_off(slot: TunedSlot) -> None:
    model, settings = slot.bands[0], slot.settings()
    noise = raw.played(model, settings, N_SAMPLES, noise=True)
    np.testing.assert_array_equal(noise, raw.played(model, settings, N_SAMPLES, noise=True))
    tones = np.abs(np.fft.fft(raw.played(model, settings, N_SAMPLES, noise=False)))
    assert (tones > 0.5 * tones.max()).sum() == settings.on.size
    silent = replace(settings, power=np.zeros(512, np.int64))
    assert not raw.played(model, silent, N_SAMPLES, noise=False).any()
