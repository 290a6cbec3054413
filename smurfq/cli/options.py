"""The options that several commands share: the site, the slot, ids, ``--json``, and an operation's parameters."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click

from smurfq.cli.terminal_text import tell
from smurfq.client import Run, Slot
from smurfq.client.connection import Connection
from smurfq.config import FILE_VARIABLE, load, names_no_site
from smurfq.config.slot_names import SlotNames
from smurfq.core.jsonsafe import dumps
from smurfq.core.redis_url import without_password
from smurfq.core.slot import is_stream_id

_CONNECTION = "smurfq.connection"
_BARE_WORD = re.compile(r"[A-Za-z_/.~][\w/.:,@%+~-]*")
_PYTHON_WORDS = {"None": "null", "True": "true", "False": "false"}

slot_option = click.option(
    "--slot",
    "-s",
    metavar="SLOT",
    help="The slot: its place (crate1slot2), its stream id (ufm_mv9), or its number if only one crate has it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
by_option = click.option("--by", metavar="NAME", help="Your name, for the record. [default: user@host]")
owner_option = click.option(
    "--owner", metavar="NAME", help="Your name as owner. [default: SMURFQ_OWNER, else user@host]"
)
force_option = click.option("--force", is_flag=True, help="Do it even if somebody else is the owner.")
reason_option = click.option("--reason", "-m", metavar="TEXT", default="", help="The reason, for the record.")
timeout_option = click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop following after this time, with exit code 6. The run continues.",
)


def connection() -> Connection:
    """Return the connection to the site that this process's environment describes. A command makes only one."""
    meta = click.get_current_context().meta
    if _CONNECTION not in meta:
        meta[_CONNECTION] = made = Connection(load(os.environ), named_by=os.environ)
        if names_no_site(os.environ):
            _say_which_site(made)
    found: Connection = meta[_CONNECTION]
    return found


def _say_which_site(made: Connection) -> None:
    """Write to stderr which site answers at the default address, because no site file was given."""
    with made.reached():
        found = made.site_store and made.site
    if found is not None:
        address = without_password(made.settings.redis_url)
        tell(f"smurfq: {FILE_VARIABLE} is not set; {address} answers: {found}", err=True)


def slot_of(given: str | None) -> Slot:
    """Return the slot that a command is for."""
    place = place_of(given)
    named = given if given is not None and is_stream_id(given) else place
    return Slot(named, connection=connection())


def place_of(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the place of the slot that a command is for; see ``choose_slot``."""
    site = connection()
    with site.reached():
        return choose_slot(given, environ, site.slot_names)


def run_of(given: str) -> Run:
    """Return the run whose id begins with ``given``."""
    site = connection()
    with site.reached():
        return Run(site.records.index.find(given), connection=site)


def choose_slot(given: str | None, environ: Mapping[str, str], slots: SlotNames) -> str:
    """Return the place of the slot from ``--slot``, else from ``SLOT``, else of the only slot of the site.

    Raises
    ------
    UnknownSlotError
        ``given`` is not a slot of the site.
    click.UsageError
        No slot was given, or ``SLOT`` names none or several.
    """
    if given is not None:
        numbered = slots.with_number(given)
        return numbered[0] if len(numbered) == 1 else slots.place(given)
    known = ", ".join(slots.places)
    if number := environ.get("SLOT"):
        numbered = slots.with_number(number)
        if len(numbered) == 1:
            return numbered[0]
        raise click.UsageError(f"SLOT={number} matches {len(numbered)} of the site's slots ({known}); give --slot")
    if len(slots.places) == 1:
        return slots.places[0]
    raise click.UsageError(f"which slot? Give --slot with one of {known}")


def parse_params(texts: Iterable[str]) -> dict[str, Any]:
    """Parse parameters given as ``key=JSON``. A value that is a bare word is a string.

    Raises
    ------
    click.BadParameter
        A text has no ``=``, a key is given twice, or a value is neither JSON nor a bare word.
    """
    params: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"expected key=JSON, such as duration=30; got {text!r}", param_hint="--param")
        if key in params:
            raise click.BadParameter(f"{key} is given twice", param_hint="--param")
        params[key] = _parse_value(key, value)
    return params


def echo_json(value: Any) -> None:
    """Write one JSON document, on one line."""
    click.echo(dumps(value))


def _parse_value(key: str, text: str) -> Any:
    if text in _PYTHON_WORDS:
        raise click.BadParameter(f"{key}={text}: write {_PYTHON_WORDS[text]}, as in JSON", param_hint="--param")
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except ValueError as cause:
        if _BARE_WORD.fullmatch(text) and text not in ("NaN", "Infinity"):
            return text
        raise click.BadParameter(
            f"{key}={text}: the value is neither JSON ({cause}) nor a bare word; "
            f"write a string as '{key}=\"...\"', a list as '{key}=[0, 1]'",
            param_hint="--param",
        ) from cause


def _reject_constant(token: str) -> Any:
    raise ValueError(f"{token} is not a JSON number")
