"""The newest stage and message of a run, from its events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from smurfq.core.session import Event


class Progress(NamedTuple):
    """The newest stage and message of a run; None where there was none."""

    stage: str | None
    message: str | None


def progress_of(events: Iterable[Event]) -> Progress:
    """The newest stage and message among ``events``, which are in order, oldest first."""
    stage = message = None
    for event in events:
        if event["k"] == "stage":
            stage = event["name"]
        elif event["k"] == "message":
            message = event["text"]
    return Progress(stage, message)
