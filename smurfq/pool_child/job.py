"""The job of a pool child: one operation to run, and the functions to call while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from smurfq.core.session import SessionHeader
from smurfq.core.slot import publisher_id
from smurfq.pool_child.end_request import Ask
from smurfq.smurf_control import CARD_CLOSED
from smurfq.store.fence import Running


@dataclass(frozen=True)
class Job:
    """An operation that is ready to run: its parameters are checked, and its claim and file lock are taken."""

    task_id: str
    op_name: str
    slot: str
    publisher: str
    params: Mapping[str, Any]
    environment: Mapping[str, str]
    running: Running  # its note in Redis
    record: SessionHeader  # the header of its record as it was claimed
    locks: tuple[int, ...] = ()
    log: bool | str = True
    time_limit_s: float | None = None
    is_process: bool = False  # a request to stop it ends it in good order
    stream_id: str | None = None  # of the slot; a workflow has none
    card: bool = True  # it has a card, whose publisher's messages come through the bridge
    card_closed: str = ""  # why it may not open its card
    graces_s: tuple[float, float] = (10.0, 10.0)  # from an abort to the signal, from there to the kill
    on_start: Callable[[int], None] = field(default=lambda pid: None)
    on_progress: Callable[[str], None] = field(default=lambda text: None)
    every_second: Callable[[Ask], None] = field(default=lambda ask: None)
    once: Mapping[int, Callable[[Ask], None]] = field(default_factory=dict)  # see ``Supervisor``
    driving: AbstractContextManager[None] = field(default_factory=nullcontext)  # see ``WorkerContext``
    conclude: Callable[[Running], object] = field(default=lambda running: None)  # see ``RedisLoss``

    @property
    def drives_card(self) -> bool:
        """True if the operation may leave the card unsafe; an operation of the state lane only reads."""
        return self.card and not self.card_closed and self.publisher == publisher_id(self.slot, "control")

    def to_wire(self) -> dict[str, Any]:
        """The part of the job that the operation's own process receives, as a JSON object."""
        closed = {CARD_CLOSED: self.card_closed} if self.card_closed else {}
        return {
            "session_id": self.task_id,
            "op_name": self.op_name,
            "slot": self.slot,
            "publisher": self.publisher,
            "params": dict(self.params),
            "environment": {**self.environment, **closed},
        }
