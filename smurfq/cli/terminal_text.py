"""Text for people: whatever it holds, it does nothing to a terminal, and can be written."""

from __future__ import annotations

import re

import click

# Control sequences and characters, and those that turn the direction in which text is read.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HALF = re.compile("[\ud800-\udfff]")  # a character that no terminal, file or pipe takes


def clean(text: object) -> str:
    """``text`` that does nothing to a terminal: what others wrote may hold any control sequence."""
    return _HALF.sub("\ufffd", _CONTROL.sub("", str(text).replace("\r\n", "\n")))


def tell(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Write ``text``, cleaned, to stdout or stderr."""
    click.echo(clean(text), err=err, nl=nl)
