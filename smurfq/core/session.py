"""The session record of a run, and the events that change it.

An *event* is a small JSON object ``{"k": kind, "t": time, …}``. Events are written in *batches*. Each batch has its
writer's name and an increasing number, so that a batch that arrives twice has no effect the second time. When a record
is done, later events may still add messages, but never change its outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import Any, Self

from smurfq.core.slot import both_names

MESSAGES_KEPT = 10_000  # as many as OCS keeps; the stream in Redis keeps more
LOG_TAIL_CHARS = 65_536
FILES_KEPT = 10_000

Event = dict[str, Any]
STATUSES = ("queued", "starting", "running", "stopping", "done")


class Outcome(StrEnum):
    """The outcome of a run."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    LOST = "lost"


class OpCode(IntEnum):
    """OCS's numbers for the state of an operation."""

    NONE = 1
    STARTING = 2
    RUNNING = 3
    STOPPING = 4
    SUCCEEDED = 5
    FAILED = 6
    EXPIRED = 7
    DEGRADED = 8


@dataclass
class SessionHeader:
    """The header of a run's record: small and fast to read, however much the run published.

    ``lost`` counts the publisher's messages that never reached the bridge, ``unrecorded`` those that reached the bridge
    and are not in the record. ``complete`` is false if the bridge could not confirm that no message is missing.
    ``slot`` is the place, and ``stream_id`` the name of the module that is there when the run starts, or is
    submitted; None for workflows.
    ``submitted_by`` is the owner of the submission. ``degraded`` is true if something is wrong but the run continues.
    ``simulated`` is None until a worker claims the run, since only the worker knows whether its slot is simulated.
    ``log_file`` is the path of the operation's whole output.
    """

    session_id: str
    op_name: str = ""
    slot: str = ""
    stream_id: str | None = None
    params: dict[str, Any] = field(default_factory=dict)
    status: str = "queued"
    success: bool | None = None
    outcome: str | None = None
    error: dict[str, Any] | None = None
    submit_time: float | None = None
    start_time: float | None = None
    end_time: float | None = None
    messages_total: int = 0
    log_file: str | None = None
    lost: int = 0
    unrecorded: int = 0
    complete: bool | None = None
    degraded: bool = False
    simulated: bool | None = None
    software: dict[str, str] = field(default_factory=dict)
    tunefile: str | None = None
    worker: dict[str, Any] = field(default_factory=dict)
    parent_id: str | None = None
    root_id: str | None = None
    submitted_by: str | None = None

    def __getattr__(self, name: str) -> Any:
        """Explain how to read the whole record. Python calls this only for attributes that do not exist.

        Raises
        ------
        AttributeError
            Always.
        """
        if name in BULK_FIELDS:
            raise AttributeError(
                f"{name!r} was not read: this is the header of {self.op_name} {self.session_id}; "
                f"smurfq.client.Run({self.session_id!r}).record() reads the whole record",
                name=name,
                obj=self,
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    @property
    def op_code(self) -> OpCode:
        """Return OCS's number for the state of the run."""
        if self.status == "done":
            return OpCode.SUCCEEDED if self.success else OpCode.FAILED
        if self.degraded and self.status == "running":
            return OpCode.DEGRADED
        return {
            "starting": OpCode.STARTING,
            "running": OpCode.RUNNING,
            "stopping": OpCode.STOPPING,
        }.get(self.status, OpCode.NONE)

    @property
    def where(self) -> str:
        """Return both names of the slot for people: ``crate1slot2 (ufm_mv9)``."""
        return both_names(self.slot, self.stream_id)

    @property
    def done(self) -> bool:
        """Return whether the run has ended."""
        return self.status == "done"

    def to_dict(self) -> dict[str, Any]:
        """Return the record, or its header, as the JSON object in results, in the CLI and for OCS clients."""
        shown = {item.name: getattr(self, item.name) for item in fields(self)}
        shown["op_code"] = int(self.op_code)
        return shown

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """Return the record that ``to_dict`` converted to ``value``. Unknown keys of later versions are ignored."""
        return cls(**{item.name: value[item.name] for item in fields(cls) if item.name in value})


@dataclass
class SessionRecord(SessionHeader):
    """One run of an operation, in the form of an OCS session: its header, and everything that the run published.

    ``messages`` are ``[time, text]`` (s since 1970), the newest ``MESSAGES_KEPT`` of ``messages_total``; ``stages``
    are ``[name, time]``; ``log`` is the tail of stdout and stderr.
    """

    messages: list[list[Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    stages: list[list[Any]] = field(default_factory=list)
    log: str = ""


HEADER_FIELDS = frozenset(item.name for item in fields(SessionHeader)) - {"session_id"}
BULK_FIELDS = frozenset(item.name for item in fields(SessionRecord)) - HEADER_FIELDS - {"session_id"}


def message(text: str, time: float) -> Event:
    """Return an event that adds a message for people."""
    return {"k": "message", "t": time, "text": text}


def data_set(values: Mapping[str, Any], time: float) -> Event:
    """Return an event that sets keys of the session data."""
    return {"k": "data", "t": time, "set": dict(values)}


def data_shown(values: Mapping[str, Any], time: float) -> Event:
    """Return an event that sets keys of the session data and is not kept, for values that change every second."""
    return {"k": "data", "t": time, "set": dict(values), "kept": False}


def data_removed(keys: Iterable[str], time: float) -> Event:
    """Return an event that removes keys of the session data."""
    return {"k": "data", "t": time, "remove": list(keys)}


def log_text(text: str, time: float) -> Event:
    """Return an event that adds text to the operation's stdout and stderr."""
    return {"k": "log", "t": time, "text": text}


def file_registered(file: Mapping[str, Any], time: float) -> Event:
    """Return an event that adds a file which the publisher registered."""
    return {"k": "file", "t": time, "file": dict(file)}


def file_found(path: str, change: Mapping[str, Any], time: float) -> Event:
    """Return an event that corrects a registered file. ``change`` has its true ``path``, or ``missing``."""
    return {"k": "file_found", "t": time, "path": path, "set": dict(change)}


def stage(name: str, time: float) -> Event:
    """Return an event that says that a stage of the operation has begun."""
    return {"k": "stage", "t": time, "name": name}


def header(time: float, **values: Any) -> Event:
    """Return an event that sets fields of the record's header."""
    unknown = values.keys() - HEADER_FIELDS
    if unknown:
        raise ValueError(f"no such header field: {sorted(unknown)}")
    return {"k": "header", "t": time, "set": values}


def ended(time: float, outcome: Outcome, error: Mapping[str, Any] | None = None, **more: Any) -> Event:
    """Return the event that ends the run."""
    return header(
        time,
        status="done",
        success=outcome is Outcome.SUCCEEDED,
        outcome=str(outcome),
        end_time=time,
        error=dict(error) if error else None,
        **more,
    )
