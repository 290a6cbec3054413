"""A band's sweeps, descents and eta agree with the true values of its resonators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.sim.radio import resonators as r
from smurfq.sim.radio.band import NO_RESONATOR, BandModel
from smurfq.sim.radio.chain import TONE_POWER
from smurfq.sim.registers import sub_band_of
from tests.unit.sim.radio.conftest import TunedSlot

COARSE = 0.6 * np.linspace(-1, 1, 31)  # the sweep of pysmurf's find_freq within a sub-band


def swept(slot: TunedSlot, band: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A sweep of the whole band by rising frequency: frequencies (MHz) and what was read."""
    channels = [sub_band_of(number) for number in range(48, 464)]
    offsets = np.zeros((512, COARSE.size))
    offsets[channels] = COARSE
    model = slot.bands[band]
    read = model.sweep(offsets, TONE_POWER, slot.settings(band), slot.turns)
    return (model.sub_band_mhz[channels, None] + COARSE).ravel(), read[channels].ravel()


def test_a_sweep_dips_at_every_resonator_and_nowhere_else(slot: TunedSlot) -> None:
    f, read = swept(slot)
    truth = r.truth(slot.resonators, slot.detectors)
    inside = (truth["band"] == 0) & (truth["kind"] != r.OFF_THE_EDGE)
    size = np.abs(read) / np.median(np.abs(read))
    for at, kind in zip(truth["frequency_mhz"][inside], truth["kind"][inside], strict=True):
        assert size[np.abs(f - at) < 0.06].min() < (0.99 if kind == r.LOSSY else 0.8)
    away = np.abs(f[:, None] - truth["frequency_mhz"]).min(axis=1)
    assert size[away > 2.0].min() > 0.97


def test_a_channel_that_is_not_swept_reads_nothing(slot: TunedSlot) -> None:
    offsets = np.zeros((512, 31))
    offsets[9] = COARSE
    read = slot.bands[0].sweep(offsets, TONE_POWER, slot.settings(), slot.turns)
    assert np.flatnonzero(read.any(axis=1)).tolist() == [9]
    assert (np.abs(read.real) < 1).all()


def test_a_descent_ends_at_the_bottom_from_either_side(slot: TunedSlot) -> None:
    tuned = slot.settings()
    on = tuned.on
    for away in (-0.08, 0.06):
        moved = replace(tuned, center_mhz=tuned.center_mhz + away)
        found = slot.bands[0].descended(moved, slot.turns)
        assert np.abs(found[on] - tuned.center_mhz[on]).max() < 0.012  # the mismatch shifts the bottom
        off = tuned.power == 0
        np.testing.assert_array_equal(found[off], moved.center_mhz[off])


def test_a_descent_beside_all_resonators_stays_where_it_is(slot: TunedSlot) -> None:
    free = next(
        channel
        for channel in (sub_band_of(number) for number in range(100, 400))
        if np.abs(slot.bands[0].sub_band_mhz[channel] - slot.resonators.frequency_mhz).min() > 2.0
    )
    power = np.zeros(512, np.int64)
    power[free] = TONE_POWER
    settings = slot.settings(power=power, center_mhz=np.zeros(512))
    assert slot.bands[0].descended(settings, slot.turns, quiet=True)[free] == 0.0


def test_an_eta_scan_gives_the_eta_that_the_slot_starts_with(slot: TunedSlot) -> None:
    settings = slot.settings()
    on = settings.on
    found = slot.bands[0].eta(replace(settings, eta=np.zeros(512, np.complex128)), slot.turns)
    good = np.abs(found[on] / settings.eta[on] - 1)
    assert np.median(good) < 0.02
    assert not found[settings.power == 0].any()


def test_an_eta_scan_answers_to_delay_and_attenuation(slot: TunedSlot) -> None:
    settings = slot.settings()
    on = settings.on
    louder = replace(settings, chain=replace(settings.chain, down=settings.chain.down - 12))  # by 6 dB
    found = slot.bands[0].eta(louder, slot.turns, quiet=True)
    np.testing.assert_allclose(np.abs(settings.eta[on] / found[on]), 10 ** (6 / 20), rtol=1e-6)


def test_a_tuned_slot_is_locked_to_its_own_detectors_but_for_dead_squids(slot: TunedSlot) -> None:
    dead = slot.resonators.detector[slot.resonators.kind == r.DEAD_SQUID].tolist()
    for model in slot.bands:
        resonator, detector = model.locked(slot.settings(model.band), slot.turns)
        own = slot.detectors.band == model.band
        wanted = [NO_RESONATOR if one in dead else one for one in np.flatnonzero(own).tolist()]
        assert detector[slot.detectors.channel[own]].tolist() == wanted
        assert (resonator >= 0).sum() == sum(one != NO_RESONATOR for one in wanted)


def test_two_channels_on_one_resonator_show_the_same(slot: TunedSlot) -> None:
    settings = slot.settings()
    model = slot.bands[0]
    _, detector = model.locked(settings, slot.turns)
    first = int(np.flatnonzero(detector >= 0)[5])
    second = sub_band_of(sub_band_of(first) + 1)
    at = model.sub_band_mhz[first] + settings.center_mhz[first]
    arrays = {name: vars(settings)[name].copy() for name in ("power", "feedback", "eta", "center_mhz")}
    for values in arrays.values():
        values[second] = values[first]
    arrays["center_mhz"][second] = at - model.sub_band_mhz[second]
    _, both = model.locked(replace(settings, **arrays), slot.turns)
    assert both[first] == both[second] == detector[first]


@pytest.mark.parametrize("name", ["power", "feedback", "eta"])
def test_a_channel_without_tone_feedback_or_eta_shows_nothing(slot: TunedSlot, name: str) -> None:
    settings = slot.settings()
    _, before = slot.bands[0].locked(settings, slot.turns)
    channel = int(np.flatnonzero(before >= 0)[0])
    values = vars(settings)[name].copy()
    values[channel] = 0
    _, after = slot.bands[0].locked(replace(settings, **{name: values}), slot.turns)
    assert after[channel] == NO_RESONATOR
    assert np.delete(after, channel).tolist() == np.delete(before, channel).tolist()


def test_a_band_without_resonators_is_flat(slot: TunedSlot) -> None:
    empty = BandModel(0, slot.resonators.take(np.zeros(0, np.int64)))
    offsets = np.zeros((512, 31))
    offsets[9] = COARSE
    read = empty.sweep(offsets, TONE_POWER, slot.settings(), slot.turns)[9]
    assert np.ptp(np.abs(read)) < 0.01 * np.abs(read).mean()
    assert (empty.locked(slot.settings(), slot.turns)[0] == NO_RESONATOR).all()


def test_more_power_than_the_scale_holds_saturates(slot: TunedSlot) -> None:
    offsets = np.zeros((512, 31))
    offsets[9] = COARSE
    settings = slot.settings()
    open_chain = replace(settings, chain=replace(settings.chain, up=0, down=0))
    read = slot.bands[0].sweep(offsets, 15, open_chain, slot.turns)[9]
    assert np.abs(read.real).max() <= 0.999
