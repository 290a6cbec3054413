"""Where a workflow runs: in a workflow process of the site, or in a producer's Python."""

from __future__ import annotations

import logging
import time
from typing import Any, Protocol

from smurfq.operation.session import Session

logger = logging.getLogger("smurfq.workflows")

_POLL_S = 0.1


class Host(Protocol):
    """What a workflow asks of where it runs."""

    leashes_all: bool
    """Whether all that it starts ends with it, and not its streams alone."""

    def check(self) -> None:
        """Return, or raise if the workflow shall end."""

    def message(self, text: str) -> None:
        """Say a line to people."""

    def stage(self, name: str) -> None:
        """Say that a step begins."""

    def data(self, **values: Any) -> None:
        """Write down what is known of the workflow."""


class SessionHost:
    """A workflow's own process; what it says goes into its record."""

    leashes_all = True

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self) -> None:
        """Return, or raise ``OperationAbortedError`` if the workflow is being aborted."""
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
    """A producer's Python: there is no record, and ``logging`` has what is said.

    Operations outlive the producer as any others do; its streams end with it.
    """

    leashes_all = False

    def check(self) -> None:
        """Return: what ends a producer is an exception of its own."""

    def message(self, text: str) -> None:
        """Log a line."""
        logger.info("%s", text)

    def stage(self, name: str) -> None:
        """Log a step."""
        logger.info("step %s", name)

    def data(self, **values: Any) -> None:
        """Pass over what a record would keep."""


def pause(host: Host, seconds: float) -> None:
    """Return after ``seconds``, or raise as soon as the workflow shall end."""
    deadline = time.monotonic() + seconds
    while True:
        host.check()
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return
        time.sleep(min(_POLL_S, left_s))
