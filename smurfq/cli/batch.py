"""The command that queues several operations in one step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from typing import IO, Any

import click

from smurfq.cli.options import connection, echo_json, json_option, place_of
from smurfq.cli.terminal_text import tell
from smurfq.client import Submission, submit_all
from smurfq.client.status import summary

_KEYS = tuple(field.name for field in fields(Submission))


@click.command(
    epilog="""\b
Examples:
  smurfq batch night.jsonl
  printf '%s\\n' '{"operation": "take_iv", "slot": "crate1slot2", "params": {"tag": "cal"}}' | smurfq batch -

\b
A line's keys are operation (required), slot, params, priority and unique (true, "waiting" or "running")."""
)
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--owner", metavar="NAME", help="Submit under this name. [default: SMURFQ_OWNER, else user@host]")
@json_option
def batch(file: str, owner: str | None, as_json: bool) -> None:
    """Queue either all or none of the operations in a file of JSON lines.

    smurfq checks all operations before it queues any, and queues them in one step, on one or several slots. A slot
    runs its operations of equal priority in the order of the file. If FILE is -, smurfq reads the standard input.
    """
    site = connection()
    with click.open_file(file) as lines:
        submissions = list(_lines(lines))
    if not submissions:
        raise click.UsageError(f"{file} is empty; each line must be an object such as {{'operation': 'take_iv'}}")
    runs = submit_all(submissions, owner=owner, connection=site)
    with site.reached():
        records = site.records.headers([run.id for run in runs])
    if as_json:
        echo_json([summary(record) for record in records])
        return
    for record in records:
        tell(f"{record.op_name} {record.session_id} on {record.where}")
    tell(f"{len(records)} queued; `smurfq watch` shows them")


def _lines(file: IO[Any]) -> Iterator[Submission]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        asked = _object(number, line)
        slot = asked.pop("slot", None)
        yield Submission(slot=place_of(slot if slot is None else str(slot)), **asked)


def _object(number: int, line: str) -> dict[str, Any]:
    where = f"line {number}"
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as cause:
        raise click.BadParameter(f"{where} is not JSON: {cause}", param_hint="FILE") from cause
    if not isinstance(asked, dict) or not isinstance(asked.get("operation"), str):
        raise click.BadParameter(f"{where}: expected an object with an operation; got {line.strip()[:100]}")
    if unknown := [name for name in asked if name not in _KEYS]:
        raise click.BadParameter(f"{where}: unknown key {unknown[0]!r}; allowed are {', '.join(_KEYS)}")
    if not isinstance(asked.get("params", {}), dict):
        raise click.BadParameter(f"{where}: params must be an object; got {asked['params']!r}")
    return asked


COMMANDS = [batch]
