"""Runs a slot's streamer in a separate process: ``python -m smurfq.sim.recorder``.

The compression of a frame of a full slot blocks the interpreter for 0.1 s or more. In the process of the Channel Access
server, every register would wait, and a bias would appear in the stream too late. The process completes its file and
exits when the server ends, even if the server is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, Final

from smurfq.errors import StreamError
from smurfq.sim.pysmurf_publishers import Address, file_publisher
from smurfq.sim.samples import Samples
from smurfq.sim.stream_options import BY_DEFAULT, Plain, StreamOptions

_MODULE: Final = "smurfq.sim.recorder"
_BACKLOG_BYTES: Final = 2**28
_ENDS_WITHIN_S: Final = 10.0


class Recorder:
    """A proxy for a slot's `Streamer` in another process, which executes requests in order.

    Nothing blocks: `open` and `close` return futures, which raise what the streamer raises. ``session_id`` and
    ``filepath`` are the streamer's. ``dropped`` counts samples that arrived faster than they could be written.
    ``publish_to`` is the address to which the process publishes its files; it is read when the process starts.
    """

    def __init__(self, folder: Path, stream_id: str, *, crate: int, slot: int) -> None:
        self._arguments = (str(folder), stream_id, str(crate), str(slot))
        self.stream_id = stream_id
        self.publish_to: Address | None = None
        self._requests = ThreadPoolExecutor(1, thread_name_prefix=f"recorder-{stream_id}")
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._backlog = 0
        self._failure: StreamError | None = None
        self.dropped = 0
        self.session_id = 0
        self.filepath = ""

    def start(self) -> Future[None]:
        """Start the process in advance, which takes a second. Otherwise, the first session starts it and waits."""
        return self._requests.submit(self._ask, "ready")

    def open(self, now: float, status: Mapping[str, Plain], options: StreamOptions = BY_DEFAULT) -> Future[int]:
        """Begin a session. Its id is available when the file exists."""
        self.dropped = 0
        return self._requests.submit(self._open, now, dict(status), options)

    def write(self, samples: Samples) -> None:
        """Add samples. `close` reports errors."""
        with self._lock:
            if self._backlog > _BACKLOG_BYTES:
                self.dropped += samples.size
                return
            self._backlog += samples.counts.nbytes
        self._requests.submit(self._write, samples)

    def update(self, now: float, status: Mapping[str, Plain]) -> None:
        """Record the changes of the slot's status. `close` reports errors."""
        self._requests.submit(self._noting_failure, "update", now, dict(status))

    def close(self, now: float) -> Future[None]:
        """End the session, if one is open. The future is done when its files are complete."""
        return self._requests.submit(self._close, now)

    def stop(self) -> None:
        """Complete the session and end the process. Block until it has ended."""
        self._requests.shutdown()
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            _reaped(self._process)

    def _open(self, now: float, status: dict[str, Plain], options: StreamOptions) -> int:
        self._failure = None
        session_id: int = self._ask("open", now, status, options)
        return session_id

    def _write(self, samples: Samples) -> None:
        try:
            self._noting_failure("write", samples)
        finally:
            with self._lock:
                self._backlog -= samples.counts.nbytes

    def _close(self, now: float) -> None:
        if self._process is not None:
            self._ask("close", now)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _noting_failure(self, request: str, *arguments: object) -> None:
        if self._failure is not None:
            return
        try:
            self._ask(request, *arguments)
        except StreamError as error:
            self._failure = error

    def _ask(self, request: str, *arguments: object) -> Any:
        try:
            connection = self._connected()
            connection.send((request, arguments))
            result, error, self.session_id, self.filepath = connection.recv()
        except (EOFError, OSError) as cause:
            raise self._ended() from cause
        if error is not None:
            raise error
        return result

    def _connected(self) -> Connection[Any, Any]:
        if self._connection is None:
            self._connection, theirs = Pipe()
            host, port = self.publish_to or ("", 0)
            command = (sys.executable, "-m", _MODULE, str(theirs.fileno()), *self._arguments, host, str(port))
            self._process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
            theirs.close()
        return self._connection

    def _ended(self) -> StreamError:
        code = None
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            code = _reaped(self._process)
        session_id, path = self.session_id, self.filepath
        self._connection = self._process = None  # the next session starts another
        self.session_id, self.filepath = 0, ""
        return StreamError(
            f"the recorder of {self.stream_id} ended with code {code} in session {session_id}; "
            f"{path or 'no file'} may be incomplete; the next session starts another recorder",
            code=code,
            session_id=session_id,
        )


def _reaped(process: subprocess.Popen[bytes]) -> int:
    try:
        return process.wait(_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def serve(
    connection: Connection[Any, Any],
    folder: Path,
    stream_id: str,
    crate: int,
    slot: int,
    publish_to: Address | None = None,
) -> None:
    """Execute requests until the other process closes its end."""
    from smurfq.sim.streamer import Streamer  # noqa: PLC0415 - the server's process needs no so3g

    publisher = file_publisher(publish_to, stream_id) if publish_to else None
    on_file = None if publisher is None else publisher.file_closed
    streamer = Streamer(folder, stream_id, crate=crate, slot=slot, on_file=on_file)
    calls: dict[str, Callable[..., Any]] = {
        "open": streamer.open,
        "write": streamer.write,
        "update": streamer.update,
        "close": streamer.close,
    }
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            request, arguments = connection.recv()
            result, error = None, None
            try:
                if request != "ready":
                    result = calls[request](*arguments)
            except StreamError as caught:
                error = caught
            connection.send((result, error, streamer.session_id, streamer.filepath))
    streamer.close(time.time())


def main() -> None:
    """Serve the process that started this one."""
    for ignored in (signal.SIGINT, signal.SIGTERM):  # the server receives them too, and this process ends with it
        signal.signal(ignored, signal.SIG_IGN)
    descriptor, folder, stream_id, crate, slot, host, port = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    publish_to = (host, int(port)) if host else None
    serve(Connection(int(descriptor)), Path(folder), stream_id, int(crate), int(slot), publish_to)


if __name__ == "__main__":
    main()
