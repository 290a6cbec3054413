"""Fixtures of the pool child's unit tests: a run that was claimed, without a Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smurfq.core.slot import Lane
from smurfq.pool_child.claimed_run import ClaimedRun
from tests.claimed_runs import MakeRun, application, claimed_run, workers


@pytest.fixture
def make_run(tmp_path: Path) -> Iterator[MakeRun]:
    """Make claimed runs of workers that keep their state in ``tmp_path``; ``settings`` are environment variables."""
    with workers() as make_worker:

        def make(
            op_name: str = "take_iv", lane: Lane = "control", settings: dict[str, str] | None = None, **request: Any
        ) -> ClaimedRun:
            app = application(tmp_path, **(settings or {}))
            return claimed_run(make_worker(app, lane), app, op_name, **request)

        yield make
