"""A session, as an operation's body sees it, whose events are kept in a list."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq.config import Settings
from smurfq.core.session import Event, SessionRecord
from smurfq.core.session_fold import Fold
from smurfq.operation_process import wire
from smurfq.operation_process.session import Session


class Recorded:
    """A session, its events, and the request that its supervisor makes."""

    def __init__(self, settings: Settings, op_name: str) -> None:
        self.events: list[Event] = []
        self.flag = mmap.mmap(-1, 1)
        self.session = Session(
            emit=self.events.append,
            flag=self.flag,
            settings=settings,
            slot="crate1slot2",
            session_id="an-id",
            op_name=op_name,
            params={},
        )

    def ask_abort(self) -> None:
        """Ask the operation to abort."""
        self.flag[0] = wire.ABORT

    def feeds(self) -> dict[str, Any]:
        """The blocks published, by feed."""
        return {event["name"]: event["data"] for event in self.events if event["k"] == "feed"}

    def record(self) -> SessionRecord:
        """The record that the events make."""
        fold = Fold(SessionRecord("an-id"))
        fold.add("operation", 0, [event for event in self.events if event["k"] != "feed"])
        return fold.finish()


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Callable[[str], Recorded]]:
    """Makes sessions of named operations; scripts may lie in ``tmp_path``."""
    made: list[Recorded] = []

    def make(op_name: str) -> Recorded:
        made.append(Recorded(Settings(scripts={"folders": (tmp_path,)}), op_name))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for item in made:
        item.flag.close()
