"""The newest stage and message of a run."""

from __future__ import annotations

from smurfq.core import session as events
from smurfq.core.progress import Progress, progress_of


def test_the_last_stage_and_message_are_the_newest() -> None:
    told = [
        events.stage("setup", 1.0),
        events.message("old", 2.0),
        events.message("new", 3.0),
        events.stage("tune", 4.0),
        events.log_text("noise", 5.0),
    ]
    assert progress_of(told) == Progress("tune", "new")


def test_a_run_that_reported_nothing_has_neither() -> None:
    assert progress_of([events.log_text("noise", 1.0)]) == Progress(None, None)
