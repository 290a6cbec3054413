"""The operations of a client: ``start``, ``wait``, ``status``, and ``abort`` of a task or ``stop`` of a process."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

from smurfq.core.session import SessionRecord
from smurfq.errors import ParameterError, RequestError, SmurfqError, StoreUnavailableError, WaitTimeoutError
from smurfq.ocs.agent import Agent
from smurfq.ocs.errors import ControlClientError
from smurfq.ocs.reply import ERROR, OK, TIMEOUT, OCSReply
from smurfq.ocs.session import Session, encode, refused
from smurfq.ocs.wait_for_end import wait_for_end
from smurfq.operations import Operation

F = TypeVar("F", bound=Callable[..., OCSReply])

# Parameters of the PysmurfController that smurfq does not need: every operation runs in its own process.
_MEANINGLESS: Final = frozenset({"run_in_main_process", "run_in_main_procsess"})


def request(method: F) -> F:
    """Decorate a method that is a request: if Redis does not answer, it raises the error of OCS's clients."""

    @functools.wraps(method)
    def asked(self: OcsOperation, *args: Any, **kwargs: Any) -> OCSReply:
        try:
            with self.agent.connection.reached():
                return method(self, *args, **kwargs)
        except StoreUnavailableError as cause:
            raise ControlClientError(f"{self.agent.instance_id}: {cause}", instance=self.agent.instance_id) from cause

    return asked  # type: ignore[return-value]


class OcsOperation:
    """One operation of a slot, with the interface of OCS's clients.

    Its session is that of the run that it started, until it has returned that run's end. Before and after, its session
    is that of the operation's active run on the slot, else of the newest run.
    """

    kind: Literal["task", "process"]

    def __init__(self, agent: Agent, operation: Operation, name: str) -> None:
        self.agent = agent
        self.operation = operation
        self.name = name
        self._own: str | None = None
        self._refused: Session | None = None

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name} of {self.agent.instance_id}>"

    @request
    def start(self, **params: Any) -> OCSReply:
        """Queue the operation. ``OK`` means that it was queued; ``ERROR`` gives the reason why it was not."""
        self._own = self._refused = None
        try:
            with self.agent.starting(self.operation):
                active = self.agent.active(self.operation)
                if active is not None and self.agent.connection.settings.ocs.busy != "queue":
                    return OCSReply(ERROR, f'Operation "{self.name}" already in progress.', self._session_of(active))
                self.agent.check_may_start(self.operation)
                self._own = self.agent.submit(self.operation, wanted(self.operation, params))
        except StoreUnavailableError:
            raise
        except SmurfqError as error:
            self._refused = refused(self.name, self.agent.slot, params, error)
            return OCSReply(ERROR, str(error), {})
        return OCSReply(OK, f'Started {self.kind} "{self.name}".', self._session_of(self._own))

    @request
    def wait(self, timeout: float | None = None) -> OCSReply:
        """Wait for the end, at most ``timeout`` seconds. ``OK`` means that the run ended, not that it succeeded."""
        session = self._session()
        if not session:
            return OCSReply(OK, "Idle.", {})
        if session["status"] != "done":
            connection, run_id = self.agent.connection, session["session_id"]
            try:
                record = wait_for_end(
                    connection,
                    run_id,
                    lambda: self.agent.is_served(self.operation),
                    timeout_s=None if timeout is None else max(0.0, timeout),
                    patience_s=connection.settings.ocs.patience_s,
                )
            except WaitTimeoutError:
                text = f'Operation "{self.name}" still running; wait timed out.'
                return OCSReply(TIMEOUT, text, self._session_of(run_id))
            except StoreUnavailableError:
                raise
            except SmurfqError as error:
                return self._given_up(run_id, error)
            session = self._told(record)
        how = "SUCCEEDED" if session["success"] else "FAILED"
        return OCSReply(OK, f'Operation "{self.name}" is currently not running ({how}).', session)

    @request
    def status(self) -> OCSReply:
        """Return the session of the operation; it is empty if the operation has never run."""
        session = self._session()
        return OCSReply(OK, "Session active." if session else "No session active.", session)

    def _end(self, verb: Literal["stop", "abort"]) -> OCSReply:
        session = self._session()
        if not session:
            return OCSReply(ERROR, "No session active.", {})
        if session["status"] in ("stopping", "done"):
            return OCSReply(ERROR, f"The operation is already {session['status']}", {})
        run = self.agent.run(session["session_id"])
        (run.stop if verb == "stop" else run.abort)(reason="asked for by an OCS client")
        return OCSReply(OK, f'Requested {verb} on {self.kind} "{self.name}".', self._session_of(run.id))

    def _session(self) -> Session:
        """Return the session of the run that the class's docstring describes."""
        if self._own is not None:
            return self._told(self.agent.record(self._own))
        last = self.agent.last(self.operation)
        if self._refused is not None and (last is None or _since(last) < self._refused["start_time"]):
            return self._refused
        return self._encode(last) if last is not None else {}

    def _session_of(self, run_id: str) -> Session:
        return self._encode(self.agent.record(run_id))

    def _encode(self, record: SessionRecord) -> Session:
        return encode(record, self.name)

    def _told(self, record: SessionRecord) -> Session:
        if record.done:
            self._own = None
        return self._encode(record)

    def _given_up(self, run_id: str, error: SmurfqError) -> OCSReply:
        """Return the reply of a wait that was given up. Remove the run from its queue, since nobody waits for it."""
        if run_id == self._own and self._removed(run_id, f"given up: {error}"):
            return OCSReply(ERROR, f"{error}; the run was removed from the queue", self._session())
        return OCSReply(ERROR, f"{error}; the run continues", self._session_of(run_id))

    def _removed(self, run_id: str, reason: str) -> bool:
        try:
            self.agent.run(run_id).remove(reason=reason)
        except RequestError:  # it is in no queue: it was running when its worker went away
            return False
        return True


class Task(OcsOperation):
    """An operation that ends by itself. Calling it starts it and waits."""

    kind = "task"

    @request
    def abort(self) -> OCSReply:
        """Abort the run in stages; see ``smurfq.client.Run.abort``."""
        return self._end("abort")

    def __call__(self, **params: Any) -> OCSReply:
        started = self.start(**params)
        return self.wait() if started.status == OK else started


class Process(OcsOperation):
    """An operation that continues until it is stopped. Calling it returns its status."""

    kind = "process"

    @request
    def stop(self) -> OCSReply:
        """Stop the run, so that it ends and succeeds."""
        return self._end("stop")

    def __call__(self) -> OCSReply:
        return self.status()


def wanted(operation: Operation, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a start, without those that only the PysmurfController has.

    Raises
    ------
    ParameterError
        The parameters request the test mode or another slot.
    """
    if params.get("test_mode"):
        raise ParameterError(
            f"{operation.name}: smurfq has no test_mode; leave it out, and use simulated slots (`smurfq up --sim`)",
            operation=operation.name,
            parameter="test_mode",
        )
    if "slot" in params:
        raise ParameterError(
            f"{operation.name} has no parameter 'slot': the client's instance id says which slot is meant",
            operation=operation.name,
            parameter="slot",
        )
    return {name: value for name, value in params.items() if name not in _MEANINGLESS and name != "test_mode"}


def _since(record: SessionRecord) -> float:
    return record.submit_time or record.start_time or 0.0
