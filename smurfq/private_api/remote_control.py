"""Celery's table of remote-control commands (``celery.worker.control.Panel.data``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery.worker.control import Panel

Command = Callable[..., Any]


def command(name: str) -> Command:
    """Return the function that answers a remote-control command."""
    found: Command = Panel.data[name]
    return found


def replace_command(name: str, answer: Command) -> None:
    """Replace the function that answers a remote-control command by ``answer``.

    Celery can register commands. It has no setting to remove or replace its own, such as ``pool_grow``.
    """
    Panel.data[name] = answer
