"""Messages that have been assigned to a run but not yet written to Redis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from smurfq.bridge.attribution import Task
from smurfq.core import session
from smurfq.core.messages import Message
from smurfq.core.sequence import Step


class SequencedMessage(NamedTuple):
    """A message, what its number says, and whether it is the first of its source."""

    message: Message
    time: float  # when the kernel received it, s since 1970
    step: Step
    first: bool


@dataclass
class PendingBatch:
    """What a batch of messages changes."""

    tasks: dict[str, Task] = field(default_factory=dict)
    unowned: list[SequencedMessage] = field(default_factory=list)  # messages that belong to no task
    unusable: list[str] = field(default_factory=list)  # payloads of the wrong type: what to say of them

    def add(self, arrived: SequencedMessage, task: Task | None) -> None:
        """Give a message to ``task``, or to none."""
        message, _, step, first = arrived
        if task is None:
            self.unowned.append(arrived)
            return
        self._touch(task)
        if first and step.lost:
            text = (
                f"publisher {message.script} was first heard at its message {message.seq_no}; those before are missing"
            )
            task.events.append(session.message(text, message.time))
        if not task.take(message, step):
            what = f"{message.type} of {message.id}, script {message.script}"
            self.unusable.append(f"{what}; see the record {task.task_id}")

    def tell(self, text: str, now: float, tasks: Iterable[Task | None]) -> None:
        """Add a message of the bridge's own to each of the tasks."""
        for task in tasks:
            if task is not None:
                self._touch(task)
                task.events.append(session.message(text, now))

    def roll_back(self) -> None:
        """Undo all of it."""
        for task in self.tasks.values():
            task.roll_back()

    def _touch(self, task: Task) -> None:
        task.mark()
        self.tasks[task.task_id] = task
