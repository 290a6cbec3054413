"""A slot's stream, driven by hand: its frames, their biases, and when it opens and closes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smurfq.sim import registers as r
from smurfq.sim.detectors import population
from smurfq.sim.faults import Faults
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.resonators import resonators_of
from smurfq.sim.recorder import Recorder
from smurfq.sim.samples import Samples, joined
from smurfq.sim.slot import SimSlot
from smurfq.sim.stream import SlotStream
from smurfq.sim.tones import tuned

DETECTORS = population(3, 8)
BANDS = [BandModel(band, resonators_of(DETECTORS, 3)) for band in range(8)]
TONES = tuned(BANDS, DETECTORS)
MASK = DETECTORS.absolute_channel.tolist()
START = 1_700_000_000.0


class Memory(Recorder):
    """A recorder that keeps what it is given, and starts no process."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), "crate1slot2", crate=1, slot=2)
        self.parts: list[Samples] = []
        self.status: Mapping[str, Any] = {}

    def open(self, now: float, status: Any, options: Any = None) -> Future[int]:
        self.status, self.session_id, self.filepath = status, int(now), "a.g3"
        return _done(self.session_id)

    def write(self, samples: Samples) -> None:
        self.parts.append(samples)

    def close(self, now: float) -> Future[None]:
        self.session_id, self.filepath = 0, ""
        return _done(None)


def _done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class Bench:
    """A slot with a stream, and a clock that moves by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = START
        monkeypatch.setattr("smurfq.sim.stream.time.time", lambda: self.now)
        self.slot = SimSlot("crate1slot2", TONES, lambda: self.now, lambda _names: None, bands=BANDS)
        self.memory = Memory()
        self.stream = SlotStream(
            self.slot,
            DETECTORS,
            stream_id="ufm_mv9",
            folder=Path("/nowhere"),
            seed=3,
            now=self.now,
            recorder=self.memory,
        )
        self.slot.stream = self.stream
        self.put(r.MASK, MASK)

    def put(self, name: str, value: Any) -> None:
        self.slot.put_now(name, value)

    def pass_time(self, seconds: float) -> None:
        """Let the clock run, with a tick each tenth of a second."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.stream.tick(self.now)

    def start(self, factor: int = 20) -> None:
        """Begin a session."""
        self.put(r.INTERNAL_FACTOR, factor)
        self.put(r.PROCESSOR + "Filter:Disable", 1)
        self.put(r.ENABLE_STREAMING, 1)
        self.put(r.OPEN_STREAM, 1)
        self.stream.open(self.now)

    def end(self) -> Samples:
        """What was written, once the session has been closed."""
        self.put(r.ENABLE_STREAMING, 0)
        self.put(r.OPEN_STREAM, 0)
        self.pass_time(0.2)
        return joined(self.memory.parts)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


@pytest.mark.parametrize("factor", [1, 20])
def test_every_frame_of_a_session_is_written_once(bench: Bench, factor: int) -> None:
    bench.pass_time(0.5)
    bench.start(factor)
    bench.pass_time(1.0)
    assert bench.slot.value(r.SESSION_ID) == int(START)
    written = bench.end()
    assert np.all(np.diff(written.frame_counter) == factor)
    assert written.size == pytest.approx(4000 / factor, abs=2)
    assert written.counts.shape[0] == len(MASK)
    assert np.all(np.diff(written.time_ns) == factor * 250_000)
    assert written.time_ns[0] / 1e9 == pytest.approx(START + 0.5, abs=0.01)
    assert bench.slot.value(r.SESSION_ID) == 0
    assert bench.slot.value(r.FILE_PATH) == ""


def test_the_status_has_the_mask_of_the_session(bench: Bench) -> None:
    bench.start()
    assert bench.memory.status["AMCc.SmurfProcessor.ChannelMapper.Mask"] == str(MASK)


def test_a_bias_shows_from_the_moment_it_was_put(bench: Bench) -> None:
    bench.start(1)
    bench.pass_time(0.5)
    bench.now += 0.0123
    put_at = bench.now
    bench.put(r.dac_register(1), 4000)
    bench.pass_time(0.5)
    written = bench.end()
    changed_at = written.time_ns[np.flatnonzero(np.diff(written.tes_biases[0]))[0] + 1] / 1e9
    assert put_at - 1e-6 <= changed_at <= put_at + 1 / 4000
    assert np.unique(written.tes_biases[0]).tolist() == [0, 2000]
    assert not written.tes_biases[1:].any()


def test_nothing_is_written_while_streaming_is_not_enabled(bench: Bench) -> None:
    bench.put(r.OPEN_STREAM, 1)
    bench.stream.open(bench.now)
    bench.pass_time(0.5)
    assert bench.memory.parts == []
    bench.put(r.ENABLE_STREAMING, 1)
    bench.pass_time(0.5)
    assert bench.end().size > 50


def test_detectors_follow_their_biases_without_a_stream(bench: Bench) -> None:
    bench.pass_time(0.2)
    still = bench.stream._model.point().current.copy()
    for group in range(12):
        bench.put(r.dac_register(2 * group + 1), 2**18)
        bench.put(r.dac_register(2 * group + 2), -(2**18))
    bench.pass_time(0.5)
    moved = np.abs(bench.stream._model.point().current - still) > 1e-6
    assert np.array_equal(moved, DETECTORS.responsive)


def test_a_file_that_never_closes_closes_once_the_fault_is_gone(bench: Bench) -> None:
    bench.slot.faults = Faults(never_closes=True)
    bench.start()
    bench.pass_time(0.3)
    bench.end()
    assert bench.slot.value(r.SESSION_ID) != 0
    size = len(bench.memory.parts)
    bench.pass_time(1.0)
    assert len(bench.memory.parts) == size
    bench.slot.faults = Faults()
    bench.pass_time(0.1)
    assert bench.slot.value(r.SESSION_ID) == 0


def test_gaps_are_whole_blocks_of_half_a_second(bench: Bench) -> None:
    bench.slot.faults = Faults(gaps=0.4)
    bench.start()
    bench.pass_time(10.0)
    written = bench.end()
    missing = 1 - written.size / 2000
    assert 0.2 < missing < 0.6
    lost = bench.slot.value(r.FRAMES_LOST)
    assert isinstance(lost, int)
    assert lost == pytest.approx((2000 - written.size) * 20, abs=200)
    assert set((np.diff(written.frame_counter) % 2000).tolist()) <= {20}


def test_a_session_opens_once(bench: Bench) -> None:
    bench.start()
    first = bench.memory.session_id
    bench.now += 5
    bench.stream.open(bench.now)
    assert bench.memory.session_id == first


def test_its_end_completes_the_session(bench: Bench) -> None:
    bench.start()
    bench.pass_time(0.3)
    bench.stream.stop(bench.now)
    assert bench.memory.session_id == 0
