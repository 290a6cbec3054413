"""Suggests the nearest known name in an error about an unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'take_iv'?`` with the nearest of ``known``, or an empty string if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return the text of ``did_you_mean`` or, if no name is near, ``; known are …`` with all of ``known``."""
    names = list(known)
    return did_you_mean(name, names) or (f"; known are {', '.join(names)}" if names else "; there are none")
