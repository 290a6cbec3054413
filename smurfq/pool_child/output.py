"""Writes an operation's output into a file, its first part into the record, and its lines into the worker's log."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smurfq.core import session as events
from smurfq.core.private_files import make_folder, open_log
from smurfq.core.session import Event
from smurfq.errors import OperationFailedError
from smurfq.host.disk_space import room

LIVE_BYTES = 8 * 1024 * 1024  # of one operation; the file has the rest
FLUSH_EVERY_S = 0.2
PIECE_CHARS = 65_536
_CHUNK = 1 << 18


class Output:
    """The read end of an operation's stdout and stderr.

    ``log`` is the parameter of the operation ``run``: True (a file and the worker's log), a path (that file) or False
    (nothing is kept). If the disk is full, the file ends and the operation goes on.

    Raises
    ------
    OperationFailedError
        The path that was asked for cannot be written to.
    """

    def __init__(
        self, log: bool | str, file: Path, add: Callable[[Event], None], log_line: Callable[[str], None]
    ) -> None:
        self.path = None if log is False else Path(log) if isinstance(log, str) else file
        self._log_line = log_line if log is True else None
        self._add = add
        self._file = self._open(asked_for=isinstance(log, str))
        self.fileno, self.write_end = os.pipe()
        os.set_blocking(self.fileno, False)
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._pending: list[str] = []
        self._live_left = 0 if log is False else LIVE_BYTES
        self._next_flush = 0.0
        self._line = ""

    def _open(self, *, asked_for: bool) -> Any:
        if self.path is None:
            return None
        try:
            if asked_for:  # whoever named the file decides by the folder and the umask who may read it
                self.path.parent.mkdir(parents=True, exist_ok=True)
                return self.path.open("ab", buffering=0)
            make_folder(self.path.parent)
            return open_log(self.path)
        except OSError as cause:
            if not asked_for:  # what turns a card off must run on a full disk too
                self._lacks("there is no file", cause)
                self.path = None
                return None
            raise OperationFailedError(
                f"cannot log to {self.path}: {cause.strerror}; nothing was run. Is the folder there, and writable for "
                f"the worker's user? {room(self.path.parent)}",
                log=str(self.path),
            ) from cause

    def _lacks(self, what: str, cause: OSError) -> None:
        where = room(self.path.parent) if self.path else ""
        text = f"WARNING: {what} {self.path}: {cause.strerror}, {where}; what is not in it is in the record only"
        self._add(events.message(text, time.time()))

    def close_write_end(self) -> None:
        """Close this process's copy of the write end, once the operation has its own."""
        os.close(self.write_end)
        self.write_end = -1

    def read(self) -> bool:
        """Take some of the output that has arrived; false at its end."""
        try:
            chunk = os.read(self.fileno, _CHUNK)
        except BlockingIOError:
            return True
        self._take(chunk)
        return bool(chunk)

    def read_rest(self) -> None:
        """Take all output that has arrived; processes that were left behind may still hold the other end."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.fileno, _CHUNK):
                self._take(chunk)
        self._show(self._decode(b"", True), 0)
        self.flush(force=True)

    def due_s(self) -> float | None:
        """Return in how many seconds ``flush`` is due; None if nothing waits for it."""
        return max(0.0, self._next_flush - time.monotonic()) if self._pending else None

    def flush(self, *, force: bool = False) -> None:
        """Write the output since the last time into the record, if it is due."""
        now = time.monotonic()
        if not self._pending or (now < self._next_flush and not force):
            return
        self._next_flush = now + FLUSH_EVERY_S
        text = "".join(self._pending)
        self._pending.clear()
        for start in range(0, len(text), PIECE_CHARS):
            self._add(events.log_text(text[start : start + PIECE_CHARS], time.time()))

    def close(self) -> None:
        """Close the pipe and the file."""
        os.close(self.fileno)
        if self.write_end >= 0:
            self.close_write_end()
        if self._file is not None:
            self._file.close()

    def _take(self, chunk: bytes) -> None:
        self._keep(chunk)
        self._show(self._decode(chunk), len(chunk))

    def _keep(self, chunk: bytes) -> None:
        """Write to the file until that fails."""
        if self._file is None:
            return
        try:
            self._file.write(chunk)
        except OSError as cause:
            self._file.close()
            self._file = None
            self._lacks("incomplete is", cause)

    def _show(self, text: str, size: int) -> None:
        if not text:
            return
        if self._log_line is not None:
            *lines, self._line = (self._line + text).split("\n")
            for line in lines:
                self._log_line(line)
            self._line = self._line[-4096:]
        if self._live_left <= 0:
            return
        self._live_left -= size
        self._pending.append(text)
        if self._live_left <= 0:
            where = f"in {self.path}" if self.path else "nowhere"
            self._pending.append(f"\n… more than {LIVE_BYTES >> 20} MiB were printed; the rest is {where}\n")


def log_file(folder: Path, slot: str, op_name: str, session_id: str, at: float) -> Path:
    """Return the path of a run's log: ``<folder>/<slot>/<date>/<time>_<operation>_<id>.log``."""
    moment = time.gmtime(at)
    name = re.sub(r"[^\w.-]", "_", f"{time.strftime('%H%M%S', moment)}_{op_name}_{session_id}.log")
    return folder / slot / time.strftime("%Y%m%d", moment) / name
