"""Waiting for a condition with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
WITHIN_S = 60.0  # for what takes a second or two where nothing else runs: on a loaded machine a test must only be slow
READY_WITHIN_S = 240.0  # for the start of a process, and for what takes half a minute where nothing else runs


def eventually(
    condition: Callable[[], T | None],
    within_s: float = WITHIN_S,
    what: str | Callable[[], str] = "",
    every_s: float = 0.02,
) -> T:
    """What ``condition`` returns once it is true; it is looked at each ``every_s``."""
    deadline = time.monotonic() + within_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            told = what() if callable(what) else what
            raise AssertionError(f"did not happen within {within_s:g} s: {told or condition}")
        time.sleep(every_s)
