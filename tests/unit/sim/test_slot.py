"""The effects of putting a value into a register of a slot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from smurfq.errors import RegisterValueError, StreamError
from smurfq.sim import registers as r
from smurfq.sim.faults import Faults
from smurfq.sim.slot import SimSlot
from tests.unit.sim.conftest import tones_at

TONES = tones_at([0, 0, 7], [3, 9, 500])


class Stream:
    """A stream that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.fails = False

    def open(self, now: float) -> None:
        if self.fails:
            raise StreamError("no disk")
        self.told.append("open")

    def close(self) -> None:
        self.told.append("close")

    def enable(self, enabled: bool, now: float) -> None:
        self.told.append(enabled)

    def reset_unwrapper(self) -> None:
        self.told.append("unwrapper")

    def reset_filter(self) -> None:
        self.told.append("filter")

    def turns(self) -> npt.NDArray[Any]:
        return np.zeros(0)


class Bench:
    """A slot on a bench: a clock that stands, and the names of all that changed."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.changed: list[str] = []
        self.slot = SimSlot("crate1slot2", TONES, lambda: self.now, self._note)
        self.stream = Stream()
        self.slot.stream = self.stream

    def _note(self, names: Iterable[str]) -> None:
        self.changed += names

    def put(self, name: str, value: object) -> None:
        asyncio.run(self.slot.put(name, value))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_slot_starts_tuned(bench: Bench) -> None:
    power = bench.slot.value(r.band_register(0, "CryoChannels:amplitudeScaleArray"))
    assert isinstance(power, np.ndarray)
    assert np.flatnonzero(power).tolist() == [3, 9]
    centers = bench.slot.value(r.band_register(7, "CryoChannels:centerFrequencyArray"))
    assert isinstance(centers, np.ndarray)
    assert np.flatnonzero(centers).tolist() == [500]


def test_who_publishes_is_told_of_each_value_that_is_written_changed_or_read(bench: Bench) -> None:
    told: list[str] = []
    bench.slot.on_value = told.extend
    bench.put(r.ENABLE_STREAMING, 1)
    bench.slot.update_session(session_id=5)
    bench.slot.was_read(r.TUNE_PATH)
    assert told == [r.ENABLE_STREAMING, r.SESSION_ID, r.TUNE_PATH]


def test_the_two_kinds_of_dac_registers_agree(bench: Bench) -> None:
    array = r.DAC_DATA + "Array"
    bench.put(r.dac_register(5), 77)
    assert bench.slot.value(array)[4] == 77  # type: ignore[index]
    assert array in bench.changed
    values = list(range(100, 132))
    bench.put(array, values)
    assert [bench.slot.value(r.dac_register(number)) for number in range(1, 33)] == values
    assert bench.slot.dacs.dacs.tolist() == values
    bench.put(f"{r.DAC_CONTROL}[5]", 2)
    assert bench.slot.value(r.DAC_CONTROL + "Array")[4] == 2  # type: ignore[index]


def test_a_refused_value_changes_nothing(bench: Bench) -> None:
    bench.put(r.dac_register(1), 5)
    with pytest.raises(RegisterValueError):
        bench.put(r.dac_register(1), 2**19)
    assert bench.slot.value(r.dac_register(1)) == 5
    assert bench.slot.dacs.dacs[0] == 5


def test_a_mask_says_how_many_channels_there_are(bench: Bench) -> None:
    bench.put(r.MASK, [3, 9, 4084])
    assert bench.slot.value(r.NUM_CHANNELS) == 3
    bench.put(r.INTERNAL_FACTOR, 7)
    assert bench.slot.value(r.FACTOR) == 7


def test_relays_go_to_the_bias_lines_and_replies_to_the_register(bench: Bench) -> None:
    bench.put(r.CARD_WRITE, 0x2 << 20 | 0b101)
    assert bench.slot.dacs.states()[-1].relays == 0b101
    bench.put(r.CARD_WRITE, (1 << 31 | 0x2 << 20) - 2**32)
    assert bench.slot.value(r.CARD_READ) == 0x2 << 20 | 0b101
    bench.slot.faults = Faults(no_cryocard=True)
    bench.put(r.CARD_WRITE, 1 << 31 | 0x2 << 20)
    assert bench.slot.value(r.CARD_READ) == 0


def test_the_stream_is_called_in_order(bench: Bench) -> None:
    for name, value in (
        (r.ENABLE_STREAMING, 1),
        (r.PROCESSOR + "Unwrapper:reset", 1),
        (r.PROCESSOR + "Filter:reset", 1),
        (r.OPEN_STREAM, 1),
        (r.ENABLE_STREAMING, 0),
        (r.OPEN_STREAM, 0),
    ):
        bench.put(name, value)
    assert bench.stream.told == [True, "unwrapper", "filter", "open", False, "close"]


def test_a_stream_that_does_not_open_is_told_to_who_put_it(bench: Bench) -> None:
    bench.stream.fails = True
    with pytest.raises(StreamError):
        bench.put(r.OPEN_STREAM, 1)
    assert bench.slot.value(r.OPEN_STREAM) == 0


def test_all_amplitudes_of_a_band_at_once(bench: Bench) -> None:
    bench.put(r.band_register(0, "CryoChannels:setAmplitudeScales"), 0)
    assert not np.any(bench.slot.value(r.band_register(0, "CryoChannels:amplitudeScaleArray")))
    assert np.any(bench.slot.value(r.band_register(7, "CryoChannels:amplitudeScaleArray")))


def test_a_locked_up_card_comes_back_after_its_link_is_restarted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smurfq.sim.slot.LINK_BACK_S", 0.0)
    bench.slot.faults = Faults(locked_up=True)

    async def restart() -> None:
        assert not bench.slot.answers(r.SLOT_NUMBER)
        await bench.slot.put(r.RESTART_LINK, 1)
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(restart())
    assert bench.slot.answers(r.SLOT_NUMBER)


def test_an_unknown_register_stores_and_is_reported(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.put("AMCc:Nothing", 4)
    assert bench.slot.value("AMCc:Nothing") == 4
    assert "AMCc:Nothing is unknown" in caplog.text
