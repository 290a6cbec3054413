"""The newest stage and message of a run, from its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from smurfq.core.session import Event


class Progress(NamedTuple):
    """The newest stage and message of a run, or None."""

    stage: str | None
    message: str | None


def progress_of(events: Iterable[Event]) -> Progress:
    """Return the newest stage and message among ``events``, which are ordered, oldest first."""
    stage = message = None
    for event in events:
        if event["k"] == "stage":
            stage = event["name"]
        elif event["k"] == "message":
            message = event["text"]
    return Progress(stage, message)
