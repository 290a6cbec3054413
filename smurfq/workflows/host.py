"""The place where a workflow runs: a workflow process of the site, or a producer's Python."""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol

from smurfq.operation_process.session import Session

logger = logging.getLogger("smurfq.workflows")

_POLL_S = 0.1


class Host(Protocol):
    """The interface of the place where a workflow runs."""

    leashes_all: bool
    """True if all operations that the workflow starts end with it; false if only its streams do."""

    def check(self) -> None:
        """Raise if the workflow must end."""

    def message(self, text: str) -> None:
        """Write a line for people."""

    def stage(self, name: str) -> None:
        """Record that a step begins."""

    def data(self, **values: Any) -> None:
        """Write data of the workflow."""


class SessionHost:
    """A workflow process; messages and data go into the workflow's record."""

    leashes_all = True

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self) -> None:
        """Raise ``OperationAbortedError`` if the workflow is being aborted."""
        self._session.stop_point()

    def message(self, text: str) -> None:
        """Add a line to the record, and to the log."""
        self._session.add_message(text)
        print(text, flush=True)

    def stage(self, name: str) -> None:
        """Add a stage to the record."""
        self._session.stage(name)

    def data(self, **values: Any) -> None:
        """Set keys of the record's data."""
        self._session.data.update(values)


class ProducerHost:
    """A producer's Python: there is no record, and messages go to ``logging``.

    When the producer ends, its operations continue, and its streams are closed.
    """

    leashes_all = False

    def check(self) -> None:
        """Do nothing: an exception in the producer's own code ends it."""

    def message(self, text: str) -> None:
        """Log a line."""
        logger.info("%s", text)

    def stage(self, name: str) -> None:
        """Log a step."""
        logger.info("step %s", name)

    def data(self, **values: Any) -> None:
        """Do nothing: there is no record."""


def pause(host: Host, seconds: float) -> None:
    """Wait for ``seconds``, or raise as soon as the workflow must end."""
    deadline = time.monotonic() + seconds
    while True:
        host.check()
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        time.sleep(min(_POLL_S, left_s))
