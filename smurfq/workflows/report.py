"""The results of one step of a workflow, slot by slot. No I/O."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from smurfq.core.duration import duration


class SlotOutcome(StrEnum):
    """The result of a step on one slot. All values except ``SUCCEEDED`` count as failures."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"  # by somebody, or by an emergency
    LOST = "lost"  # its worker died, or no worker serves the slot
    TIMED_OUT = "timed out"  # its deadline passed, and it was ended
    REJECTED = "rejected"  # it could not be queued


@dataclass(frozen=True)
class SlotReport:
    """The report of a step on one slot.

    ``record_id`` is the session id of the last attempt; None if the operation was never queued. If ``dropped`` is true,
    the workflow continues without the slot.
    """

    slot: str
    outcome: SlotOutcome
    reason: str = ""
    record_id: str | None = None
    attempts: int = 1
    took_s: float | None = None
    dropped: bool = False

    @property
    def ok(self) -> bool:
        """True if the step succeeded on the slot."""
        return self.outcome is SlotOutcome.SUCCEEDED

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "outcome": str(self.outcome),
            "reason": self.reason,
            "record_id": self.record_id,
            "attempts": self.attempts,
            "took_s": self.took_s,
            "dropped": self.dropped,
        }

    @classmethod
    def from_dict(cls, slot: str, value: Mapping[str, Any]) -> SlotReport:
        """Return the report from which ``to_dict`` made ``value``."""
        return cls(slot, **{**value, "outcome": SlotOutcome(value["outcome"])})


@dataclass(frozen=True)
class Report:
    """The results of one step, by slot; true if every slot succeeded. ``print`` shows it as text."""

    operation: str
    slots: Mapping[str, SlotReport]
    started: float = field(default_factory=time.time)  # s since 1970
    ended: float = field(default_factory=time.time)

    def __bool__(self) -> bool:
        return all(one.ok for one in self.slots.values())

    def __getitem__(self, slot: str) -> SlotReport:
        return self.slots[slot]

    @property
    def succeeded(self) -> list[str]:
        """The slots on which the step succeeded."""
        return [slot for slot, one in self.slots.items() if one.ok]

    @property
    def failed(self) -> list[str]:
        """The slots on which the step did not succeed, for any reason."""
        return [slot for slot, one in self.slots.items() if not one.ok]

    def with_dropped(self, slots: Iterable[str]) -> Report:
        """Return the report with these slots marked as dropped."""
        dropped = set(slots)
        marked = {slot: replace(one, dropped=one.dropped or slot in dropped) for slot, one in self.slots.items()}
        return replace(self, slots=marked)

    def summary(self) -> str:
        """The report in one line."""
        text = f"{self.operation}: {len(self.succeeded)} of {len(self.slots)} succeeded in {duration(self.took_s)}"
        if self.failed:
            text += "; " + ", ".join(f"{slot} {self.slots[slot].outcome}" for slot in self.failed)
        return text

    @property
    def took_s(self) -> float:
        """The time from the step's start to its end, in seconds."""
        return self.ended - self.started

    def to_dict(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "operation": self.operation,
            "started": self.started,
            "ended": self.ended,
            "slots": {slot: one.to_dict() for slot, one in self.slots.items()},
        }

    def __str__(self) -> str:
        lines = [self.summary()]
        for slot, one in self.slots.items():
            took = duration(one.took_s) if one.took_s is not None else "-"
            tries = f", {one.attempts} tries" if one.attempts > 1 else ""
            record = one.record_id[:8] if one.record_id else "-"
            mark = "  " if one.ok else "! "
            dropped = "  DROPPED" if one.dropped else ""
            lines.append(f"  {mark}{slot:<14} {one.outcome:<10} {took:>8}{tries}  {record}{dropped}")
            if one.reason:
                lines.append(f"      {one.reason}")
        return "\n".join(lines)
