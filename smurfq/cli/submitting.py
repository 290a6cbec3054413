"""Commands that queue operations, and the command that lists them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, cast

import click
from rich.table import Table
from rich.text import Text

from smurfq import operations
from smurfq.cli.options import (
    connection,
    echo_json,
    json_option,
    parse_params,
    slot_of,
    slot_option,
    timeout_option,
)
from smurfq.cli.render import terminal
from smurfq.cli.status_lines import why_queued
from smurfq.cli.terminal_text import tell
from smurfq.cli.view import follow_to_end
from smurfq.client import Priority, Run
from smurfq.client.status import summary
from smurfq.client.waiting import short
from smurfq.core.jsonsafe import dumps

_priority_option = click.option(
    "--priority",
    type=click.Choice(("urgent", "normal", "background")),
    default="normal",
    show_default=True,
    help="Urgent runs start before normal runs, background runs last. No priority interrupts a running operation.",
)
_unique_option = click.option(
    "--unique",
    type=click.Choice(("waiting", "running")),
    help="Reject the submission if the same operation with the same parameters is already waiting (waiting), or "
    "waiting or running (running).",
)
_owner_option = click.option(
    "--owner",
    metavar="NAME",
    help="Submit under this name. A locked slot accepts only its owner's submissions. "
    "[default: SMURFQ_OWNER, else user@host]",
)


@click.command(
    epilog="""\b
Examples:
  smurfq submit take_iv --slot crate1slot2 --param tag=cal --follow
  smurfq submit set_biases -s 2 -p bias=[1.5,1.5] -p bgs=[0,1]
  smurfq submit take_noise -p duration=30 -p 'kwargs={"nperseg": 65536}' --json

\b
`smurfq operations` lists the operations, `smurfq operations NAME` their parameters."""
)
@click.argument("operation")
@slot_option
@click.option(
    "--param",
    "-p",
    "texts",
    metavar="KEY=JSON",
    multiple=True,
    help="A parameter. Repeatable. The value is JSON; a bare word, as in tag=cal, is a string.",
)
@_priority_option
@_unique_option
@_owner_option
@click.option("--follow", "-f", is_flag=True, help="Show the run until it ends; the exit code gives its outcome.")
@timeout_option
@json_option
def submit(
    *,
    operation: str,
    slot: str | None,
    texts: tuple[str, ...],
    priority: str,
    unique: str | None,
    owner: str | None,
    follow: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Queue an operation on a slot.

    The parameters are checked before the run is queued. Without --follow, the command prints the id and returns at
    once. With --follow --json, each update is a line of JSON.
    """
    if timeout is not None and not follow:
        raise click.UsageError("--timeout needs --follow")
    chosen, params = slot_of(slot), _apart(parse_params(texts))
    run = chosen.submit(operation, cast(Priority, priority), unique=unique or False, owner=owner, **params)
    if follow:
        sys.exit(follow_to_end(run, as_json=as_json, timeout_s=timeout))
    _tell_queued(run, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  smurfq run /config/scripts/stream_data.py --slot crate1slot2 -- --bands 0 1
  smurfq run tune.py --log /data/logs/tune.log --detach

\b
The script must lie below one of the site's script folders (scripts.folders), on the worker's machine."""
)
@click.argument("script", type=click.Path(path_type=Path))
@click.argument("args", nargs=-1)
@slot_option
@click.option(
    "--log",
    metavar="yes|no|FILE",
    default="yes",
    show_default=True,
    help="Where to write the script's output: the worker's log (yes), nowhere (no), or a FILE on the worker's machine.",
)
@_priority_option
@_unique_option
@_owner_option
@click.option("--detach", "-d", is_flag=True, help="Queue the run, print its id, and return.")
@timeout_option
@json_option
def run(
    *,
    script: Path,
    args: tuple[str, ...],
    slot: str | None,
    log: str,
    priority: str,
    unique: str | None,
    owner: str | None,
    detach: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Run a control script on a slot, and show the run until it ends.

    Arguments after -- are passed to the script. A relative path starts at the current folder. With --json, each update
    is a line of JSON.
    """
    if timeout is not None and detach:
        raise click.UsageError("--timeout cannot be combined with --detach")
    params: dict[str, Any] = {"script": str(script.absolute()), "args": list(args), "log": _log_value(log)}
    started = slot_of(slot).submit("run", cast(Priority, priority), unique=unique or False, owner=owner, **params)
    if not detach:
        sys.exit(follow_to_end(started, as_json=as_json, output=True, timeout_s=timeout))
    _tell_queued(started, as_json=as_json)


@click.command("operations")
@click.argument("name", required=False)
@json_option
def list_operations(name: str | None, as_json: bool) -> None:
    """List the operations, or the parameters of one.

    \b
    Examples:
      smurfq operations
      smurfq operations take_iv
    """
    wanted = operations.operation(name).name if name else None
    table = [item for item in operations.describe() if wanted in (None, item["name"])]
    if as_json:
        echo_json(table[0] if wanted else table)
    elif wanted:
        _show_operation(table[0])
    else:
        for item in table:
            tell(f"{item['name']:<17} {item['summary']}")


def _log_value(text: str) -> bool | str:
    if text in ("yes", "no"):
        return text == "yes"
    return str(Path(text).absolute())


def _apart(params: dict[str, Any]) -> dict[str, Any]:
    """Return ``params``, or raise if one of them is an option of the command."""
    for name in ("slot", "priority", "operation", "unique", "owner"):
        if name in params:
            raise click.BadParameter(f"{name} is not a parameter; give it as --{name}", param_hint="--param")
    return params


def _tell_queued(run: Run, *, as_json: bool) -> None:
    record = run.header()
    if as_json:
        echo_json(summary(record))
        return
    tell(f"{record.op_name} {run.id} on {record.where}: {why_queued(connection(), record)}")
    tell(f"`smurfq follow {short(run.id)}` shows it")


def _show_operation(item: dict[str, Any]) -> None:
    tell(f"{item['name']}: {item['summary']}")
    table = Table("parameter", "default", "allowed", "meaning", box=None, pad_edge=False)
    for parameter in item["parameters"]:
        default = "(required)" if parameter["required"] else dumps(parameter["default"])
        table.add_row(parameter["name"], Text(default), Text(parameter["allowed"]), Text(parameter["doc"]))
    if item["parameters"]:
        terminal().print(table)
    if item["keywords"]:
        tell("\nkeywords of sodetlib that kwargs may contain, and that smurfq checks:")
        table = Table("keyword", "allowed", "meaning", box=None, pad_edge=False)
        for keyword in item["keywords"]:
            table.add_row(keyword["name"], Text(keyword["allowed"]), Text(keyword["doc"]))
        terminal().print(table)


COMMANDS = [submit, run, list_operations]
