"""The parts of a workflow that its steps need: its id, its connection, and its host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from smurfq.client.connection import Connection
from smurfq.workflows.host import Host
from smurfq.workflows.policy import How
from smurfq.workflows.report import Report


@dataclass(frozen=True)
class WorkflowContext:
    """The parts of a workflow that a step needs. ``id`` is the id of the workflow's record."""

    id: str
    connection: Connection
    host: Host


class OpenStreams(Protocol):
    """Streams that a workflow has started and closes at its end."""

    ended: Report | None

    def close(self) -> Report:
        """Close the streams, and return the report of their end."""

    def conclude(self, how: How | None = None) -> Report:
        """Close the streams, and drop each slot whose stream did not succeed."""
