"""The debug capture: its file, and the tracking that it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.sim.detectors import processed_channels
from smurfq.sim.radio import debug
from smurfq.sim.radio import resonators as r
from tests.unit.sim.radio.conftest import TunedSlot

N_SAMPLES = 2**18
CHANNELS = np.sort(processed_channels())


def columns(slot: TunedSlot, band: int = 0) -> npt.NDArray[Any]:
    """Where the channels that are on stand in a capture."""
    return np.flatnonzero(slot.tones.power[band][CHANNELS])


@pytest.fixture(scope="module")
def capture(slot: TunedSlot) -> debug.Capture:
    return debug.captured(slot.bands[0], slot.settings(), slot.turns, N_SAMPLES)


def test_the_file_is_as_the_card_writes_it(capture: debug.Capture, tmp_path: Path) -> None:
    first, second = debug.words(capture, N_SAMPLES)
    debug.write(tmp_path / "one.dat", first, second)
    read = np.fromfile(tmp_path / "one.dat", "<u4").reshape(2, -1)
    assert read[:, 0].tolist() == [4 * N_SAMPLES + 4] * 2
    assert (read[:, 1] >> 24).tolist() == [0, 1]
    for half, values in zip(read[:, 2:], (capture.first, capture.second), strict=True):
        starts = np.flatnonzero(half >> 30 & 1)
        assert starts[0] == 0
        assert (np.diff(starts) == 416).all()
        reset_words = half >> 31
        frames = reset_words[: 630 * 416].reshape(630, 416)
        assert (frames == frames[:, :1]).all()
        signed = ((half & 0xFFFFFF).astype(np.int64) ^ 0x800000) - 0x800000
        whole = signed[: 630 * 416].reshape(630, 416) / 2**23
        np.testing.assert_allclose(whole, values[:630], atol=2**-23)
    resets = np.flatnonzero(capture.resets)
    assert (np.diff(resets) == 150).all()  # 600 kHz over 4 kHz
    assert resets.size == 4


def test_channels_that_are_off_read_exactly_zero_and_others_do_not(slot: TunedSlot, capture: debug.Capture) -> None:
    on = columns(slot)
    assert (np.ptp(capture.second[:, on], axis=0) > 0).all()
    assert not np.delete(capture.second, on, axis=1).any()


def test_good_channels_track_and_dead_squids_do_not(slot: TunedSlot, capture: debug.Capture) -> None:
    """By sodetlib's own criteria: f_ptp within 10 to 200 kHz, df_ptp well below 100 kHz."""
    on = columns(slot)
    f_khz, df_khz = (np.ptp(half[:, on], axis=0) * 1200 for half in (capture.first, capture.second))
    dead = np.isin(
        np.flatnonzero(slot.detectors.band == 0), slot.resonators.detector[slot.resonators.kind == r.DEAD_SQUID]
    )
    by_channel = dict(zip(slot.detectors.channel[slot.detectors.band == 0].tolist(), dead.tolist(), strict=True))
    is_dead = np.array([by_channel[channel] for channel in CHANNELS[on].tolist()])
    own = slot.resonators.detector >= 0
    swing = dict(zip(slot.resonators.detector[own].tolist(), slot.resonators.swing_mhz[own].tolist(), strict=True))
    index = {int(slot.detectors.channel[row]): int(row) for row in np.flatnonzero(slot.detectors.band == 0)}
    true_khz = np.array([swing[index[channel]] for channel in CHANNELS[on].tolist()]) * 1e3
    np.testing.assert_allclose(f_khz[~is_dead], true_khz[~is_dead], rtol=0.05)
    assert (df_khz[~is_dead] < 50).all()
    assert (f_khz[is_dead] < 10).all()


def test_an_open_loop_shows_the_ramp_in_the_error(slot: TunedSlot) -> None:
    settings = slot.settings()
    opened = replace(settings, loop=replace(settings.loop, on=False, cycles=0.0, turns=5.2))
    capture = debug.captured(slot.bands[0], opened, slot.turns, N_SAMPLES)
    on = columns(slot)
    assert not np.ptp(capture.first[:, on], axis=0).any()
    spectrum = np.abs(np.fft.rfft(capture.second[:600, on] - capture.second[:600, on].mean(axis=0), axis=0))
    per_ramp = np.argmax(spectrum, axis=0) / 4
    assert np.median(per_ramp) == pytest.approx(5.2, abs=0.3)


def test_a_tone_without_feedback_stays_where_it_is_put(slot: TunedSlot) -> None:
    settings = slot.settings()
    channel = int(settings.on[0])
    feedback = settings.feedback.copy()
    feedback[channel] = False
    capture = debug.captured(slot.bands[0], replace(settings, feedback=feedback), slot.turns, N_SAMPLES)
    column = int(np.searchsorted(CHANNELS, channel))
    np.testing.assert_allclose(capture.first[:, column] * 1.2, settings.center_mhz[channel])


def test_one_channel_is_read_faster_and_by_quadratures(slot: TunedSlot) -> None:
    settings = slot.settings()
    channel = int(settings.on[0])
    one = debug.captured(slot.bands[0], settings, slot.turns, 2**14, channel=channel, quadratures=True)
    assert one.first.shape == (2**14, 1)
    assert (np.diff(np.flatnonzero(one.resets)) == 600).all()
    assert 0.01 < np.hypot(one.first, one.second).mean() < 1
