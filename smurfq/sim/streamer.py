"""Writes the g3 files of a slot's streams: sessions, frames, rotation.

A session's files are ``<folder>/<first 5 digits of the id>/<stream id>/<id>_<number>.g3``. The first file begins with
the session's start and the slot's whole status, and the last one ends with the session's end. The files between contain
only data, like those of the real streamer. The time is an argument; no clock is read. Only one thread uses this module,
in the process of `smurfq.sim.recorder`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from smurfq.errors import StreamError
from smurfq.sim import g3
from smurfq.sim.samples import Samples, joined
from smurfq.sim.stream_options import BY_DEFAULT, Plain, StreamOptions

STREAM_OPEN_KEY: Final = "AMCc.SmurfProcessor.SOStream.open_g3stream"

_FORMAT_VERSION: Final = 2
_NS: Final = 1_000_000_000


class Streamer:
    """Writes one slot's sessions, one at a time.

    While no file is open, ``session_id`` is 0 and ``filepath`` empty. They are reset when the file is complete on disk.
    ``on_file`` is called with the path of each file when it is complete.
    """

    def __init__(
        self,
        folder: Path,
        stream_id: str,
        *,
        crate: int,
        slot: int,
        on_file: Callable[[str], None] | None = None,
    ) -> None:
        self._folder = folder
        self._stream_id = stream_id
        self._crate = crate
        self._slot = slot
        self._on_file = on_file or (lambda _path: None)
        self._writer: Any = None
        self._options = StreamOptions()
        self._status: dict[str, Plain] = {}
        self._pending: list[Samples] = []
        self._frame_number = 0
        self._file_number = 0
        self._file_since = 0.0
        self.session_id = 0
        self.filepath = ""

    def open(self, now: float, status: Mapping[str, Plain], options: StreamOptions = BY_DEFAULT) -> int:
        """Begin a session and return its id: ``now`` in whole seconds, or the next second without a file.

        Raises
        ------
        StreamError
            A session is open, or the file cannot be created.
        """
        if self.session_id:
            raise StreamError(f"{self._stream_id} is streaming already; close session {self.session_id} first")
        folder, session_id = self._fresh(int(now))
        self._options = options
        self._status = {**status, STREAM_OPEN_KEY: 1}
        self._frame_number = 0
        self._begin_file(folder / f"{session_id}_000.g3", now)
        self._file_number = 0
        self.session_id = session_id
        try:
            self._put(g3.observation_frame("start"), now)
            self._put(g3.wiring_frame(self._status, whole=True), now)
        except StreamError:
            self._end_file()
            raise
        return session_id

    def write(self, samples: Samples) -> None:
        """Add samples. Every `StreamOptions.agg_time_s`, they become a frame.

        A frame has one set of channels. Earlier samples with another set become a separate frame.

        Raises
        ------
        StreamError
            No session is open, or the disk is full.
        """
        if not self.session_id:
            raise StreamError(f"{self._stream_id} does not stream; open a session before writing")
        if not samples.size:
            return
        if self._pending and self._pending[-1].num_channels != samples.num_channels:
            self._flush()
        self._pending.append(samples)
        spacing_ns = samples.time_ns[-1] - samples.time_ns[-2] if samples.size > 1 else 0
        if samples.time_ns[-1] + spacing_ns - self._pending[0].time_ns[0] >= self._options.agg_time_s * _NS:
            self._flush()

    def update(self, now: float, status: Mapping[str, Plain]) -> None:
        """Record the changes of the slot's status, if there are any.

        Raises
        ------
        StreamError
            No session is open.
        """
        if not self.session_id:
            raise StreamError(f"{self._stream_id} does not stream; open a session before its status can change")
        changes = {name: value for name, value in status.items() if self._status.get(name) != value}
        changes.pop(STREAM_OPEN_KEY, None)
        if changes:
            self._status |= changes
            self._put(g3.wiring_frame(changes, whole=False), now)

    def close(self, now: float) -> None:
        """End the session, if one is open. Its files are complete when this returns.

        Raises
        ------
        StreamError
            The end could not be written. The session is closed nevertheless.
        """
        if not self.session_id:
            return
        try:
            self._flush()
            self._put(g3.wiring_frame({STREAM_OPEN_KEY: 0}, whole=False), now)
            self._put(g3.observation_frame("end"), now)
        finally:
            self._end_file()

    def _fresh(self, session_id: int) -> tuple[Path, int]:
        # A session must not write to another session's file, even if both began in the same second.
        while True:
            folder = self._folder / str(session_id)[:5] / self._stream_id
            if not (folder / f"{session_id}_000.g3").exists():
                return folder, session_id
            session_id += 1

    def _begin_file(self, path: Path, now: float) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = g3.writer(path)
        except (OSError, RuntimeError) as cause:
            raise StreamError(f"{self._stream_id} cannot write {path}: {cause}; check the folder's owner") from cause
        self._file_since = now
        self.filepath = str(path)

    def _next_file(self, now: float) -> None:
        full, filled = self._writer, self.filepath
        path = Path(filled).with_name(f"{self.session_id}_{self._file_number + 1:03}.g3")
        self._begin_file(path, now)
        self._file_number += 1
        full(g3.end_frame())
        self._on_file(filled)

    def _end_file(self) -> None:
        self._writer(g3.end_frame())
        self._writer = None
        self._on_file(self.filepath)
        self._pending = []
        self.session_id = 0
        self.filepath = ""

    def _flush(self) -> None:
        if not self._pending:
            return
        samples = joined(self._pending)
        self._pending = []
        until = float(samples.time_ns[-1]) / _NS
        if until >= self._file_since + self._options.file_duration_s:
            self._next_file(float(samples.time_ns[0]) / _NS)
        frame = g3.scan_frame(
            samples,
            crate=self._crate,
            slot=self._slot,
            high_precision=self._options.high_precision,
            flac_level=self._options.flac_level if self._options.compressed else None,
        )
        self._put(frame, until)

    def _put(self, frame: g3.Frame, now: float) -> None:
        frame["sostream_version"] = _FORMAT_VERSION
        frame["sostream_id"] = self._stream_id
        frame["frame_num"] = self._frame_number
        frame["session_id"] = self.session_id
        frame["time"] = g3.g3_time(now)
        self._frame_number += 1
        try:
            self._writer(frame)
        except RuntimeError as cause:
            raise StreamError(f"{self._stream_id} cannot write {self.filepath}: {cause}; is the disk full?") from cause
