"""Defines the result of a check, and the arguments of all checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smurfq.config import Settings

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it."""

    name: str
    level: Level
    found: str
    todo: str = ""


@dataclass
class Examined:
    """What is examined. ``redis_answers`` is set by the check of Redis, for those that need it."""

    settings: Settings
    environ: Mapping[str, str]
    redis_answers: bool = False


def ok(name: str, found: str) -> Finding:
    """A finding that all is well."""
    return Finding(name, "ok", found)


def warn(name: str, found: str, todo: str) -> Finding:
    """A finding that something may be unwanted, or will go wrong under some circumstances."""
    return Finding(name, "warn", found, todo)


def fail(name: str, found: str, todo: str) -> Finding:
    """A finding that something does not work."""
    return Finding(name, "fail", found, todo)
