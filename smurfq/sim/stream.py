"""Drives a slot's stream: computes biases and detectors frame by frame and writes them while a session is open.

It runs some hundredths of a second behind the clock, so that every put of a bias is known when its frame is made. A
bias that is put at time T appears in the samples from T on, which sodetlib's analyses require.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from smurfq.core.slot import SlotId
from smurfq.errors import StreamError
from smurfq.sim import registers as r
from smurfq.sim.decimation import Processing
from smurfq.sim.detectors import Detectors
from smurfq.sim.downsampling import downsample_factor, is_external
from smurfq.sim.model import SlotModel
from smurfq.sim.physics.tes import Floats
from smurfq.sim.radio.readout import Readout
from smurfq.sim.recorder import Recorder
from smurfq.sim.sampler import Sampler
from smurfq.sim.samples import Samples
from smurfq.sim.slot import SimSlot
from smurfq.sim.status import stream_status
from smurfq.sim.stream_options import StreamOptions
from smurfq.sim.waveforms import Biases, biases_at
from smurfq.sim.wiring import FLUX_RAMP_HZ

logger = logging.getLogger(__name__)

TICK_S: Final = 0.1
_BEHIND_S: Final = 0.03
_LATE_S: Final = 5.0
_STRETCH: Final = 1000  # frames at once
_GAP_FRAMES: Final = 2000
_FRAME_NS: Final = round(1e9 / FLUX_RAMP_HZ)
_OPENS_WITHIN_S: Final = 20.0
_CLOSES_WITHIN_S: Final = 60.0


class SlotStream:
    """The stream of a slot.

    One thread calls `tick`; the slot's thread calls the other methods. Their requests take effect at the right frame.
    """

    def __init__(
        self,
        slot: SimSlot,
        detectors: Detectors,
        *,
        stream_id: str,
        folder: Path,
        seed: int,
        now: float,
        high_precision: bool = False,
        file_duration_s: float = 600.0,
        recorder: Recorder | None = None,
    ) -> None:
        where = SlotId.parse(slot.id)
        self._slot = slot
        self._model = SlotModel(detectors, seed, shape=slot.shape)
        self.recorder = recorder or Recorder(folder, stream_id, crate=where.crate, slot=where.slot)
        self._high_precision = high_precision
        self._file_duration_s = file_duration_s
        self._epoch = float(int(now))
        self._next = self._frame(now)  # the next frame to make
        self._agenda: deque[tuple[int, Callable[[], None]]] = deque()
        self._lock = threading.Lock()
        self._enabled = False
        self._open = False
        self._closing = False
        self._frames_lost = 0
        self._sampler: Sampler | None = None
        self._made_of: tuple[Any, ...] = ()
        self._readout: Readout | None = None

    def open(self, now: float) -> None:
        """Begin a session. It has an id when this returns."""
        if self.recorder.session_id:
            return
        self._slot.radio.readout()  # computed here, so that the stream need not wait for it
        options = StreamOptions(
            compressed=bool(self._slot.value(r.STREAM + "EnableCompression")),
            flac_level=self._int(r.STREAM + "FlacLevel"),
            agg_time_s=self._float(r.STREAM + "AggTime"),
            high_precision=self._high_precision or is_external(self._slot.value),
            file_duration_s=self._file_duration_s,
        )
        opening = self.recorder.open(now, stream_status(self._slot.values()), options)
        try:
            session_id = opening.result(_OPENS_WITHIN_S)
        except TimeoutError as cause:
            raise StreamError(f"{self._slot.id}: its recorder opened no file within {_OPENS_WITHIN_S:g} s") from cause
        self._at(time.time(), self._begin)
        self._slot.update_session(session_id=session_id, filepath=self.recorder.filepath)

    def close(self) -> None:
        """End the session when all frames until now have been written."""
        self._at(time.time(), self._finish)

    def enable(self, enabled: bool, now: float) -> None:
        """Start or stop the samples."""
        self._at(now, lambda: self._set_enabled(enabled))

    def reset_unwrapper(self) -> None:
        """Unwrap every channel's phase so that it is within half a turn of zero."""
        self._at(time.time(), lambda: self._to_sampler(Sampler.rezero))

    def reset_filter(self) -> None:
        """Reset the filter."""
        self._at(time.time(), lambda: self._to_sampler(Sampler.reset_filter))

    def turns(self) -> Floats:
        """Return the detectors' currents in units of phi_0, with the signs of their phases."""
        return self._model.turns()

    def tick(self, now: float) -> None:
        """Make all frames until shortly before ``now``, and execute pending requests."""
        end = self._frame(now - _BEHIND_S)
        while True:
            with self._lock:
                due = self._agenda[0][0] if self._agenda else end
                action = self._agenda.popleft()[1] if self._agenda and due <= self._next else None
            if action is not None:
                action()
            elif self._next < min(end, due):
                self._make(min(end, due, self._next + _STRETCH))
            elif self._next >= end:
                break
        self._slot.dacs.forget(self._time(self._next))
        if self._closing and not self._slot.faults.never_closes:
            self._complete(now)

    def stop(self, now: float) -> None:
        """Complete the session, if one is open, and end the recorder."""
        if self._open:
            self._complete(now)
        self.recorder.stop()

    def _at(self, now: float, action: Callable[[], None]) -> None:
        with self._lock:
            self._agenda.append((self._frame(now), action))

    def _frame(self, now: float) -> int:
        return int((now - self._epoch) * FLUX_RAMP_HZ)

    def _time(self, frame: int) -> float:
        return self._epoch + frame / FLUX_RAMP_HZ

    def _to_sampler(self, tell: Callable[[Sampler], None]) -> None:
        if self._sampler is not None:
            tell(self._sampler)

    def _set_enabled(self, enabled: bool) -> None:
        self._enabled = enabled

    def _begin(self) -> None:
        self._open = True
        self._closing = False
        self._sampler = None

    def _finish(self) -> None:
        self._closing = self._open

    def _complete(self, now: float) -> None:
        try:
            self.recorder.close(now).result(_CLOSES_WITHIN_S)
        except (StreamError, TimeoutError) as error:
            logger.error("%s: the stream was not closed cleanly: %s", self._slot.id, error)
        if self.recorder.dropped:
            logger.error("%s: %d samples were dropped: the disk is too slow", self._slot.id, self.recorder.dropped)
            self._slot.update({r.SAMPLES_DROPPED: self.recorder.dropped})
        self._open = self._closing = False
        self._sampler = None
        self._slot.update_session(session_id=0, filepath="")

    def _make(self, end: int) -> None:
        """Make the frames until ``end``."""
        first, self._next = self._next, end
        states = self._slot.dacs.states()
        flows = self._open and self._enabled and not self._closing
        if not flows and self._model.resting and len(states) == 1 and states[0].playback is None:
            return
        biases = biases_at(states, self._epoch + np.arange(first, end) / FLUX_RAMP_HZ, self._slot.shape.wiring)
        if not flows:
            self._model.advance(first, biases.volts, biases.high_current)
            return
        frames, counts = self._model.advance(first, biases.volts, biases.high_current, self._present_sampler())
        self._write(frames, counts, biases, first)

    def _write(self, frames: Any, counts: Any, biases: Biases, first: int) -> None:
        if self._slot.faults.gaps:
            keep = frames // _GAP_FRAMES * 389 % 1000 >= self._slot.faults.gaps * 1000
            frames, counts = frames[keep], np.ascontiguousarray(counts[:, keep])
            self._count_lost(int(np.count_nonzero(~keep)))
        if not frames.size:
            return
        self.recorder.write(
            Samples(
                time_ns=int(self._epoch) * 1_000_000_000 + frames * _FRAME_NS,
                counts=counts,
                tes_biases=biases.bits[:, frames - first].astype(np.int32),
                frame_counter=frames,
                relays=biases.relays[frames - first],
            )
        )

    def _count_lost(self, samples: int) -> None:
        self._frames_lost += samples * downsample_factor(self._slot.value)
        if samples:
            self._slot.update({r.FRAMES_LOST: self._frames_lost})

    def _present_sampler(self) -> Sampler:
        """Return the sampler for the current registers. Make a new one if they have changed."""
        mask = self._slot.value(r.MASK)
        made_of = (
            mask if isinstance(mask, int) else id(mask),
            *(self._slot.value(r.PROCESSOR + name) for name in ("ChannelMapper:NumChannels", "Filter:Disable")),
            downsample_factor(self._slot.value),
            self._taps("A"),
            self._taps("B"),
        )
        readout = self._slot.radio.readout()
        if self._sampler is None or made_of != self._made_of or readout is not self._readout:
            self._made_of, self._readout = made_of, readout
            self._sampler = self._model.sampler(self._mask(), self._processing(), readout)
        return self._sampler

    def _mask(self) -> Any:
        return np.atleast_1d(np.asarray(self._slot.value(r.MASK)))[: self._int(r.NUM_CHANNELS)]

    def _processing(self) -> Processing:
        factor = downsample_factor(self._slot.value)
        if self._int(r.PROCESSOR + "Filter:Disable"):
            return Processing(factor)
        return Processing(factor, self._taps("B"), self._taps("A"), self._float(r.PROCESSOR + "Filter:Gain"))

    def _taps(self, which: str) -> tuple[float, ...]:
        size = self._int(r.PROCESSOR + "Filter:Order") + 1
        return tuple(np.atleast_1d(np.asarray(self._slot.value(f"{r.PROCESSOR}Filter:{which}")))[:size].tolist())

    def _int(self, name: str) -> int:
        return int(self._float(name))

    def _float(self, name: str) -> float:
        value = self._slot.value(name)
        if not isinstance(value, int | float):
            raise StreamError(f"{self._slot.id}: {name} has no number")
        return value


class StreamThread(threading.Thread):
    """The thread that drives a slot's stream by the clock."""

    def __init__(self, stream: SlotStream) -> None:
        super().__init__(name="stream", daemon=True)
        self._stream = stream
        self._ended = threading.Event()

    def run(self) -> None:
        """Drive the stream until told to end."""
        while not self._ended.wait(TICK_S):
            now = time.time()
            try:
                self._stream.tick(now)
            except Exception:  # the thread's outermost loop: an error of one slot's stream must not end the others
                logger.exception("the stream failed; it continues")
            if time.time() - now > _LATE_S:
                logger.warning("the stream is late by %.1f s: this machine is too slow for it", time.time() - now)
        self._stream.stop(time.time())

    def end(self) -> None:
        """Stop the thread after the files are complete."""
        self._ended.set()
        self.join()
