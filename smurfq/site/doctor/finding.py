"""Defines the result of a check, and the arguments of all checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smurfq.config import Settings

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """The result of a check, and the remedy."""

    name: str
    level: Level
    found: str
    todo: str = ""


@dataclass
class Examined:
    """The site to check. The check of Redis sets ``redis_answers`` for later checks."""

    settings: Settings
    environ: Mapping[str, str]
    redis_answers: bool = False


def ok(name: str, found: str) -> Finding:
    """Return a finding without a problem."""
    return Finding(name, "ok", found)


def warn(name: str, found: str, todo: str) -> Finding:
    """Return a finding that something may be unwanted, or will fail under some circumstances."""
    return Finding(name, "warn", found, todo)


def fail(name: str, found: str, todo: str) -> Finding:
    """Return a finding that something does not work."""
    return Finding(name, "fail", found, todo)
