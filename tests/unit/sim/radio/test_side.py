"""The registers of the radio side start tasks, whose results are published in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.sim import registers as r
from smurfq.sim.faults import Faults
from smurfq.sim.radio import captures, scans
from smurfq.sim.radio import registers as radio
from smurfq.sim.radio.chain import TONE_POWER
from smurfq.sim.slot import SimSlot
from tests.unit.sim.radio.conftest import TunedSlot

DEADLINE_S = 60.0
IN_PROGRESS = r.band_register(0, radio.IN_PROGRESS)
CENTERS = r.band_register(0, "CryoChannels:centerFrequencyArray")
POWERS = r.band_register(0, "CryoChannels:amplitudeScaleArray")


class Bench:
    """A slot whose registers are put by hand, and all that it has shown, in order, with what it held then."""

    def __init__(self, slot: TunedSlot) -> None:
        self.shown: list[tuple[str, Any]] = []
        self.slot = SimSlot("crate1slot2", slot.tones, lambda: 1000.0, self._note, bands=slot.bands)

    def _note(self, names: Iterable[str]) -> None:
        self.shown += [(name, self.slot.value(name)) for name in names]

    def array(self, name: str) -> npt.NDArray[Any]:
        value = self.slot.value(name)
        assert isinstance(value, np.ndarray)
        return value

    def progress(self) -> list[Any]:
        return [value for name, value in self.shown if name == IN_PROGRESS]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once a condition holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.005)


@pytest.fixture
def bench(slot: TunedSlot, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(scans, "BEAT_S", 0.01)
    monkeypatch.setattr(scans, "BEATS_FOR_S", 0.05)
    monkeypatch.setattr(captures, "EVENT_AFTER_S", 0.0)
    return Bench(slot)


def drive(script: Callable[[], Awaitable[None]]) -> None:
    """Run a script in a loop of its own."""

    async def run() -> None:
        await script()

    asyncio.run(run())


def test_a_sweep_shows_its_results_before_its_end_and_its_end_again(bench: Bench) -> None:
    offsets = np.zeros((512, 31))
    offsets[9] = np.linspace(-0.6, 0.6, 31)

    async def script() -> None:
        await bench.slot.put(r.band_register(0, radio.SWEPT), offsets.ravel())
        await bench.slot.put(r.band_register(0, radio.SWEEP_POWER), TONE_POWER)
        await bench.slot.put(r.band_register(0, radio.FIND), 1)
        await bench.until(lambda: bench.progress()[:3] == [1, 0, 0])

    drive(script)
    real, imaginary = (bench.array(r.band_register(0, name)) for name in (radio.REAL, radio.IMAGINARY))
    assert real.dtype == np.float64  # pysmurf divides in place
    assert real.size == imaginary.size == 512 * 31
    assert (real >= 0).all()
    assert (real < 2**24).all()
    swept = np.flatnonzero((real.reshape(512, 31) + imaginary.reshape(512, 31)).any(axis=1))
    assert swept.tolist() == [9]
    names = [name for name, _ in bench.shown]
    assert names.index(r.band_register(0, radio.REAL)) < [i for i, n in enumerate(names) if n == IN_PROGRESS][1]


def test_a_descent_and_an_eta_scan_change_frequencies_and_eta_and_no_power(bench: Bench) -> None:
    before = {name: bench.array(name).copy() for name in (CENTERS, POWERS)}
    magnitudes = r.band_register(0, "CryoChannels:etaMagArray")
    on = before[POWERS] > 0

    async def script() -> None:
        await bench.slot.put(CENTERS, before[CENTERS] + 0.05 * on)
        await bench.slot.put(magnitudes, np.zeros(512))
        for register in (radio.DESCEND, radio.ETA):
            bench.shown.clear()
            await bench.slot.put(r.band_register(0, register), 1)
            # The end of the scan before may be shown once more before this one begins.
            await bench.until(lambda: 1 in bench.progress() and bench.progress()[-1] == 0)

    drive(script)
    np.testing.assert_array_equal(bench.array(POWERS), before[POWERS])
    assert np.abs(bench.array(CENTERS) - before[CENTERS]).max() < 0.012
    assert (bench.array(magnitudes)[on] > 0).all()
    assert not bench.array(magnitudes)[~on].any()


def test_a_scan_that_stalls_ends_when_the_fault_is_gone(bench: Bench) -> None:
    async def script() -> None:
        bench.slot.faults = Faults(scans_stall=True)
        await bench.slot.put(r.band_register(0, radio.DESCEND), 1)
        await asyncio.sleep(0.2)
        assert bench.progress() == [1]
        await bench.slot.put(POWERS, np.zeros(512))  # who waited has given up, and switched all off
        await bench.slot.put(CENTERS, np.zeros(512))
        bench.slot.faults = Faults()
        await bench.until(lambda: 0 in bench.progress())

    drive(script)
    assert not bench.array(CENTERS).any()


def test_a_debug_capture_is_complete_when_its_buffers_are_empty(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "capture.dat"
    empty = radio.buffer_register(0, "Empty[0]")

    async def script() -> None:
        for name, value in (
            (radio.capture_register(0, "DataBufferSize"), 2**14),
            (radio.capture_register(0, "InputMuxSel[0]"), 22),
            (radio.debug_select(0), 0),
            (radio.DATA_FILE, str(path)),
            (radio.capture_register(0, "TriggerDaq"), 1),
        ):
            await bench.slot.put(name, value)
        await asyncio.sleep(0)
        assert bench.slot.value(empty) == 0
        await bench.until(lambda: bench.slot.value(empty) == 1)
        assert path.stat().st_size == 2 * 4 * (2 + 2**14)

    drive(script)


@pytest.mark.parametrize(("bay", "channel"), [(0, 2), (0, 12), (1, 8), (1, 18)])
def test_a_raw_capture_comes_once_to_who_began_to_watch_before(bench: Bench, bay: int, channel: int) -> None:
    names = radio.capture_streams(bay)

    async def capture() -> None:
        for name in names:
            bench.slot.watched(name)
        bench.shown.clear()
        await bench.slot.put(radio.capture_register(bay, "ArmHwTrigger"), 1)
        await bench.until(lambda: {name for name, _ in bench.shown} >= set(names))

    async def script() -> None:
        await bench.slot.put(radio.capture_register(bay, "DataBufferSize"), 4096)
        await bench.slot.put(radio.capture_register(bay, "InputMuxSel[0]"), channel)
        for band in range(8):
            await bench.slot.put(r.band_register(band, "noiseSelect"), 1)
        await capture()
        await capture()  # another one needs another watcher

    drive(script)
    shown = [name for name, _ in bench.shown]
    for name in names:
        assert shown.count(name) == 1
        assert bench.array(name).size == 4096
        assert bench.array(name).std() > 100


def test_the_file_of_a_capture_that_cannot_be_written_is_reported(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    empty = radio.buffer_register(0, "Empty[1]")

    async def script() -> None:
        await bench.slot.put(radio.capture_register(0, "InputMuxSel[0]"), 22)
        await bench.slot.put(radio.DATA_FILE, "/no/such/folder/capture.dat")
        await bench.slot.put(radio.capture_register(0, "TriggerDaq"), 1)
        await asyncio.sleep(0)
        await bench.until(lambda: bench.slot.value(empty) == 1 and bool(caplog.records))

    drive(script)
    assert "the radio side failed" in caplog.text


def test_one_channels_registers_are_views_of_the_arrays(bench: Bench) -> None:
    own = r.band_register(3, "CryoChannels:CryoChannel[77]:")

    async def script() -> None:
        await bench.slot.put(own + "amplitudeScale", 10)
        await bench.slot.put(own + "centerFrequencyMHz", 0.25)

    drive(script)
    assert bench.slot.value(own + "amplitudeScale") == 10
    assert bench.array(r.band_register(3, "CryoChannels:amplitudeScaleArray"))[77] == 10
    assert bench.array(r.band_register(3, "CryoChannels:centerFrequencyArray"))[77] == 0.25


def test_the_readout_is_the_same_until_a_register_of_it_changes(bench: Bench, slot: TunedSlot) -> None:
    before = bench.slot.radio.readout()
    assert bench.slot.radio.readout() is before
    bench.slot.put_now(r.dac_register(3), 500)
    assert bench.slot.radio.readout() is before
    channel = int(np.flatnonzero(before.detector[:512] >= 0)[0])
    powers = bench.array(POWERS).copy()
    powers[channel] = 0
    bench.slot.put_now(POWERS, powers)
    after = bench.slot.radio.readout()
    assert (after.detector[channel], after.noise[channel]) == (-1, 0.0)
    changed = np.flatnonzero(after.detector != before.detector)
    assert changed.tolist() == [channel]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(radio.RAMP_ENABLE, 0, id="no ramp"),
        pytest.param(r.band_register(0, "lmsFreqHz"), 0.0, id="no carrier"),
        pytest.param(r.band_register(0, "feedbackEnable"), 0, id="no feedback"),
        pytest.param(r.band_register(0, "CryoChannels:setAmplitudeScales"), 0, id="tones off"),
        pytest.param(radio.attenuator(0, "UC"), 31, id="more attenuation"),
        pytest.param(r.CARD_WRITE, 7 << 20, id="amplifiers off"),
    ],
)
def test_a_channel_that_is_switched_off_reads_no_detector(bench: Bench, name: str, value: float) -> None:
    before = bench.slot.radio.readout()
    bench.slot.put_now(name, value)
    after = bench.slot.radio.readout()
    if "ATT" in name:  # eta was measured with less
        assert after.noise[:512].max() > before.noise[:512].max() or (after.detector[:512] < 0).any()
    else:
        assert (after.detector[:512] < 0).all()


def test_resonators_that_are_gone_and_amplifiers_that_are_stuck_read_nothing(bench: Bench) -> None:
    bench.slot.faults = Faults(no_resonators=(0,))
    assert (bench.slot.radio.readout().detector[:512] < 0).all()
    assert (bench.slot.radio.readout().detector[512:1024] >= 0).any()
    bench.slot.faults = Faults(stuck_amplifiers=("hemt2",))
    detectors = bench.slot.radio.readout().detector
    assert (detectors[:2048] >= 0).any()
    assert bench.slot.amplifier_loss_db(3) == pytest.approx(0.0, abs=0.01)
    assert bench.slot.amplifier_loss_db(4) > 10


def test_a_card_just_powered_reads_nothing_and_has_no_bias(slot: TunedSlot) -> None:
    cold = SimSlot("crate1slot2", None, lambda: 1000.0, lambda _names: None, bands=slot.bands)
    readout = cold.radio.readout()
    assert (readout.detector < 0).all()
    assert not readout.noise.any()
    assert cold.amplifier_loss_db(0) == pytest.approx(60.0)
    assert cold.value(radio.RAMP_ENABLE) == 0
    assert not np.any(cold.value(POWERS))
