"""The session record of a run, and how events change it.

An *event* is a small JSON object ``{"k": kind, "t": time, …}``. Events are written in *batches* that carry their
writer's name and a number that only grows, so that folding a batch twice changes nothing. A record that is done
stays done: what arrives later may still add messages, but never changes its outcome.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum, StrEnum
from typing import Any, Self

MESSAGES_KEPT = 10_000  # as OCS keeps; the stream in Redis keeps more
LOG_TAIL_CHARS = 65_536
FILES_KEPT = 10_000

Event = dict[str, Any]
STATUSES = ("queued", "starting", "running", "stopping", "done")


class Outcome(StrEnum):
    """How a run ended."""

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
    """What is known of one run of an operation without its bulk: cheap to read, whatever the run published.

    ``lost`` counts the publisher's messages that never reached the bridge, ``unrecorded`` those that reached the bridge
    and are not in the record. ``complete`` is false when the bridge could not confirm that nothing is missing.
    ``submitted_by`` is in whose name it was submitted. ``degraded`` says that something is known to be wrong although
    the run goes on. ``simulated`` is None until a worker takes the run: only
    the worker knows whether its slot is a simulated one. ``log_file`` is the whole output of the operation.
    """

    session_id: str
    op_name: str = ""
    slot: str = ""
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
        """Explain where the bulk of a record is read; called only for attributes that do not exist.

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
        """OCS's number for where the run stands."""
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
    def done(self) -> bool:
        """Whether the run has ended, one way or another."""
        return self.status == "done"

    def to_dict(self) -> dict[str, Any]:
        """The record, or its header, as the JSON object that results, the CLI and OCS-shaped clients see."""
        shown = {item.name: getattr(self, item.name) for item in fields(self)}
        shown["op_code"] = int(self.op_code)
        return shown

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Self:
        """What ``to_dict`` made ``value`` of; keys that a later version may have added are passed over."""
        return cls(**{item.name: value[item.name] for item in fields(cls) if item.name in value})


@dataclass
class SessionRecord(SessionHeader):
    """One run of an operation, in the shape of an OCS session: its header, and all that the run published.

    ``messages`` are ``[time, text]`` (s since 1970), the newest ``MESSAGES_KEPT`` of ``messages_total``; ``stages``
    are ``[name, time]``; ``metadata`` holds the latest value of each path that the publisher reported;
    ``log`` is the tail of stdout and stderr.
    """

    messages: list[list[Any]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    files: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    stages: list[list[Any]] = field(default_factory=list)
    log: str = ""


HEADER_FIELDS = frozenset(item.name for item in fields(SessionHeader)) - {"session_id"}
BULK_FIELDS = frozenset(item.name for item in fields(SessionRecord)) - HEADER_FIELDS - {"session_id"}


class Fold:
    """A record being made of batches of events, each taken in once."""

    def __init__(self, record: SessionRecord) -> None:
        self.record = record
        self._seen: dict[str, int] = {}
        self._log: deque[str] = deque([record.log] if record.log else [])
        self._log_chars = len(record.log)

    def add(self, writer: str, number: int, batch: Iterable[Event]) -> bool:
        """Take in a batch; false where it had been taken in before."""
        if number <= self._seen.get(writer, -1):
            return False
        self._seen[writer] = number
        for event in batch:
            self._apply(event)
        return True

    def _apply(self, event: Event) -> None:
        record = self.record
        kind, time = event.get("k"), event.get("t")
        match kind:
            case "message":
                record.messages.append([time, event["text"]])
                record.messages_total += 1
                if len(record.messages) > 2 * MESSAGES_KEPT:
                    del record.messages[:-MESSAGES_KEPT]
            case "data":
                if event.get("replace"):
                    record.data.clear()
                record.data.update(event.get("set", {}))
                for key in event.get("remove", ()):
                    record.data.pop(key, None)
            case "log":
                self._add_log(event["text"])
            case "file":
                record.files.append(event["file"])
                del record.files[:-FILES_KEPT]
            case "file_found":
                self._change_file(event["path"], event["set"])
            case "metadata":
                record.metadata.update(event["set"])
            case "stage":
                record.stages.append([event["name"], time])
            case "header":
                self._set_header(event["set"])
            case _:
                pass  # written by a later version of smurfq

    def _change_file(self, path: str, change: Mapping[str, Any]) -> None:
        for file in self.record.files:
            if file.get("path") == path:
                file.update(change)

    def _add_log(self, text: str) -> None:
        self._log.append(text)
        self._log_chars += len(text)
        while self._log_chars - len(self._log[0]) >= LOG_TAIL_CHARS:
            self._log_chars -= len(self._log.popleft())

    def _set_header(self, values: Mapping[str, Any]) -> None:
        record = self.record
        final = record.done
        for name, value in values.items():
            if name not in HEADER_FIELDS:
                continue
            if final and name in _FINAL:
                continue
            if name == "status" and not _forward(record.status, value):
                continue
            setattr(record, name, value)

    def finish(self) -> SessionRecord:
        """The record as it stands, with its messages and log cut to what is kept."""
        del self.record.messages[:-MESSAGES_KEPT]
        self.record.log = "".join(self._log)[-LOG_TAIL_CHARS:]
        return self.record


_FINAL = frozenset({"status", "success", "outcome", "error", "end_time"})


def _forward(old: str, new: str) -> bool:
    """Whether a status may follow another: they only go forward."""
    if new not in STATUSES:
        return False
    return STATUSES.index(new) >= STATUSES.index(old) if old in STATUSES else True


def message(text: str, time: float) -> Event:
    """An event: a line for people."""
    return {"k": "message", "t": time, "text": text}


def data_set(values: Mapping[str, Any], time: float) -> Event:
    """An event: keys of the session data set."""
    return {"k": "data", "t": time, "set": dict(values)}


def data_shown(values: Mapping[str, Any], time: float) -> Event:
    """An event that is not kept: keys of the session data set, as a clock's is that is written each second."""
    return {"k": "data", "t": time, "set": dict(values), "kept": False}


def data_removed(keys: Iterable[str], time: float) -> Event:
    """An event: keys of the session data removed."""
    return {"k": "data", "t": time, "remove": list(keys)}


def data_replaced(values: Mapping[str, Any], time: float) -> Event:
    """An event: the whole session data replaced."""
    return {"k": "data", "t": time, "set": dict(values), "replace": True}


def log_text(text: str, time: float) -> Event:
    """An event: a piece of the operation's stdout and stderr."""
    return {"k": "log", "t": time, "text": text}


def file_registered(file: Mapping[str, Any], time: float) -> Event:
    """An event: a file that the publisher registered."""
    return {"k": "file", "t": time, "file": dict(file)}


def file_found(path: str, change: Mapping[str, Any], time: float) -> Event:
    """An event: a registered file was looked for; ``change`` has its true ``path``, or that it is ``missing``."""
    return {"k": "file_found", "t": time, "path": path, "set": dict(change)}


def metadata(values: Mapping[str, Mapping[str, Any]], time: float) -> Event:
    """An event: values that the publisher reported by path, such as registers of the card."""
    return {"k": "metadata", "t": time, "set": dict(values)}


def stage(name: str, time: float) -> Event:
    """An event: a stage of the operation begun."""
    return {"k": "stage", "t": time, "name": name}


def header(time: float, **values: Any) -> Event:
    """An event: fields of the record's header set."""
    unknown = values.keys() - HEADER_FIELDS
    if unknown:
        raise ValueError(f"no such header field: {sorted(unknown)}")
    return {"k": "header", "t": time, "set": values}


def ended(time: float, outcome: Outcome, error: Mapping[str, Any] | None = None, **more: Any) -> Event:
    """An event: the run is over."""
    return header(
        time,
        status="done",
        success=outcome is Outcome.SUCCEEDED,
        outcome=str(outcome),
        end_time=time,
        error=dict(error) if error else None,
        **more,
    )
