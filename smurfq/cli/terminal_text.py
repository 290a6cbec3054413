"""Removes control sequences from text before it is printed."""

from __future__ import annotations

import re

import click

# Control sequences, control characters, and characters that change the reading direction.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_HALF = re.compile("[\ud800-\udfff]")  # surrogates, which cannot be encoded as UTF-8


def clean(text: object) -> str:
    """Return ``text`` without control sequences. Text from other programs and people may contain them."""
    return _HALF.sub("\ufffd", _CONTROL.sub("", str(text).replace("\r\n", "\n")))


def tell(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Write ``text`` to stdout or stderr, without control sequences."""
    click.echo(clean(text), err=err, nl=nl)
