"""The typed updates that a follower of a run receives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from smurfq.core.session import Event, SessionRecord


@dataclass(frozen=True)
class RecordUpdate:
    """An update of a run, at ``time`` (s since 1970)."""

    kind: ClassVar[str]
    time: float

    def to_dict(self) -> dict[str, Any]:
        """Return the update as a JSON object; ``kind`` names its class."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True)
class QueueUpdate(RecordUpdate):
    """The run waits; ``text`` gives the reason. ``place`` is 1 for the next run, None if it is not known."""

    kind: ClassVar[str] = "queue"
    text: str
    place: int | None


@dataclass(frozen=True)
class StatusUpdate(RecordUpdate):
    """The status, or other fields of the record's header, changed."""

    kind: ClassVar[str] = "status"
    status: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MessageUpdate(RecordUpdate):
    """A line for people."""

    kind: ClassVar[str] = "message"
    text: str


@dataclass(frozen=True)
class DataUpdate(RecordUpdate):
    """Session data were set or removed."""

    kind: ClassVar[str] = "data"
    values: dict[str, Any]
    removed: list[str]


@dataclass(frozen=True)
class StageUpdate(RecordUpdate):
    """A stage of the operation began."""

    kind: ClassVar[str] = "stage"
    name: str


@dataclass(frozen=True)
class LogUpdate(RecordUpdate):
    """A part of the operation's stdout and stderr, not cut at line ends."""

    kind: ClassVar[str] = "log"
    text: str


@dataclass(frozen=True)
class FileUpdate(RecordUpdate):
    """The publisher registered a file."""

    kind: ClassVar[str] = "file"
    file: dict[str, Any]


@dataclass(frozen=True)
class StoreUpdate(RecordUpdate):
    """Redis went away (``away`` is true) or is back. No update is missing after an outage."""

    kind: ClassVar[str] = "store"
    away: bool
    text: str


@dataclass(frozen=True)
class DoneUpdate(RecordUpdate):
    """The run is over; ``record`` is its final record. Always the last update."""

    kind: ClassVar[str] = "done"
    record: SessionRecord

    def to_dict(self) -> dict[str, Any]:
        """Return the update as a JSON object with the whole record."""
        return {"kind": self.kind, "time": self.time, "record": self.record.to_dict()}


def translate(event: Event) -> Iterator[RecordUpdate]:
    """Yield the update for an event of the record; nothing for the end and for unknown kinds."""
    at = float(event.get("t") or 0.0)
    match event.get("k"):
        case "message":
            yield MessageUpdate(at, event["text"])
        case "data":
            yield DataUpdate(at, event.get("set", {}), list(event.get("remove", ())))
        case "stage":
            yield StageUpdate(at, event["name"])
        case "log":
            yield LogUpdate(at, event["text"])
        case "file":
            yield FileUpdate(at, event["file"])
        case "header" if not ends(event):
            fields = event["set"]
            yield StatusUpdate(at, fields.get("status", ""), fields)


def ends(event: Event) -> bool:
    """Return whether an event says that the run is over."""
    return event.get("k") == "header" and event["set"].get("status") == "done"
