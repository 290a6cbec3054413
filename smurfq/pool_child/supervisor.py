"""Gives an operation's process its job, and watches it to its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from smurfq.core.session import Event
from smurfq.host import processes
from smurfq.operation_process import frames, wire
from smurfq.operation_process.process import Spare
from smurfq.pool_child import process_signals
from smurfq.pool_child.end_request import Ask, EndRequest
from smurfq.pool_child.ending import Ending, result_of_exec
from smurfq.pool_child.output import Output
from smurfq.pool_child.termination import Actions, Termination

_TICK_S = 1.0
_SCRIPT = "run"  # the operation whose process may replace itself by ``exec``


class Supervisor:
    """Watches one operation, from its job to its last process.

    ``termination`` decides when the operation is to be ended. ``once`` has, by file descriptor, the function that is
    called when the descriptor is readable for the first time.
    """

    def __init__(
        self,
        spare: Spare,
        output: Output,
        add: Callable[[Event], None],
        *,
        time_limit_s: float | None,
        abort_grace_s: float,
        kill_grace_s: float,
        once: Mapping[int, Callable[[Ask], None]] | None = None,
    ) -> None:
        self._process = spare
        self._once = once or {}
        self._output = output
        self._add = add
        self._time_limit_s = time_limit_s
        self._termination = Termination(abort_grace_s=abort_grace_s, kill_grace_s=kill_grace_s)
        self._frames = wire.FrameReader(spare.sock, sender=spare.pid)
        self._malformed: str | None = None
        self._result: dict[str, Any] | None = None
        self._asked: list[tuple[EndRequest, float]] = []
        self._asked_lock = threading.Lock()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)

    def ask(self, request: EndRequest) -> None:
        """Have the operation stopped or aborted. From any thread."""
        with self._asked_lock:
            self._asked.append((request, time.monotonic()))
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"!")

    def run(self, job: Mapping[str, Any], files: list[int]) -> Ending:
        """Run ``job`` with the open ``files`` (its output's, then its locks'), and return how it ended."""
        oom_before = processes.out_of_memory_kills()
        if self._time_limit_s is not None:
            self._termination.limit(self._time_limit_s, time.monotonic())
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died while it waited: seen below
                wire.send_with_files(self._process.sock, dict(job), files)
            self._output.close_write_end()
            self._process.sock.setblocking(False)
            self._watch()
        finally:
            left_behind = process_signals.end_all(self._process)
        has_execed = process_signals.has_execed(self._process)
        code = process_signals.exit_code(self._process)
        self._take_frames()
        while self._frames.has_more:
            self._take_frames()
        self._output.read_rest()
        if self._result is None and has_execed and job["op_name"] == _SCRIPT:
            self._result = result_of_exec(code)
        return Ending(
            result=self._result if self._malformed is None else None,
            exit_code=code,
            oom=processes.out_of_memory_kills() > oom_before,
            plan=self._termination.plan,
            stage=self._termination.stage,
            stopped=self._termination.is_stopped,
            left_behind=left_behind,
            malformed=self._malformed,
            has_execed=has_execed,
        )

    def close(self) -> None:
        """Close the process's socket, its output and the pipe by which other threads wake this one."""
        self._process.close()
        self._output.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _watch(self) -> None:
        """Return once the operation's process has exited, or should have."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.pidfd, selectors.EVENT_READ, "exit")
            selector.register(self._process.sock, selectors.EVENT_READ, "frames")
            selector.register(self._output.fileno, selectors.EVENT_READ, "output")
            selector.register(self._wake_read, selectors.EVENT_READ, "wake")
            for descriptor in self._once:
                selector.register(descriptor, selectors.EVENT_READ, "once")
            while True:
                self._end_as_asked()
                for key, _ in selector.select(self._wait_s()):
                    if key.data == "exit":
                        return
                    if key.data == "frames":
                        self._read_frames(selector)
                    elif key.data == "output" and not self._output.read():
                        selector.unregister(self._output.fileno)
                    elif key.data == "wake":
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, 1024)
                    elif key.data == "once":
                        selector.unregister(key.fd)
                        self._once[key.fd](self.ask)
                self._output.flush()
                if self._termination.is_exit_overdue(time.monotonic()):
                    return

    def _wait_s(self) -> float:
        """Return how long there may be nothing to do if nothing arrives."""
        due = [_TICK_S]
        if (flush := self._output.due_s()) is not None:
            due.append(flush)
        if (at := self._termination.next_at()) is not None:
            due.append(max(0.0, at - time.monotonic()))
        return min(due)

    def _end_as_asked(self) -> None:
        """Take in the requests, and do what is due to end the operation."""
        with self._asked_lock:
            asked, self._asked = self._asked, []
        for request, asked_at in asked:
            self._do(self._termination.ask(request, asked_at, time.time()))
        self._do(self._termination.advance(time.monotonic(), time.time()))

    def _do(self, actions: Actions) -> None:
        if actions.flag is not None:
            self._process.flag[0] = actions.flag
        for event in actions.events:
            self._add(event)
        if actions.signal:
            process_signals.send_abort_signal(self._process)
        if actions.kill:
            process_signals.kill_group(self._process)

    def _read_frames(self, selector: selectors.BaseSelector) -> None:
        self._take_frames()
        if self._frames.closed:
            selector.unregister(self._process.sock)

    def _take_frames(self) -> None:
        """Take some of the frames that have arrived. An operation that sends anything else is killed."""
        try:
            for frame in self._frames.read():
                self._take(frames.check(frame))
        except wire.MalformedFrameError as error:
            self._malformed = str(error)
            self._frames.close()
            process_signals.kill(self._process)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("k") == "result":
            self._result = frame
            self._termination.take_result(time.monotonic())
        else:
            self._add(frame)
