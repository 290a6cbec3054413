"""The keyword arguments of a sodetlib function, made of an operation's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def keywords(kwargs: Mapping[str, Any] | None, *, g3_tag: str | None = None, **own: Any) -> dict[str, Any]:
    """``kwargs`` with the operation's own parameters on top, as far as those are given.

    The operations table has refused ``kwargs`` that contradict a parameter; only ``tag`` may, and wins.
    """
    given = {name: value for name, value in {**own, "g3_tag": g3_tag}.items() if value is not None}
    return {**(kwargs or {}), **given}
