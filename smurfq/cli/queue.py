"""Commands for waiting runs."""

from __future__ import annotations

import click

from smurfq.cli.options import (
    by_option,
    connection,
    echo_json,
    json_option,
    reason_option,
    run_of,
    slot_of,
    slot_option,
)
from smurfq.cli.render import queue_table, terminal
from smurfq.cli.terminal_text import tell
from smurfq.client import Slots
from smurfq.client.status import waiting_dict
from smurfq.client.waiting import short


@click.group()
def queue() -> None:
    """List waiting runs, remove one, or move one to the front."""


@queue.command("list")
@slot_option
@json_option
def list_waiting(slot: str | None, as_json: bool) -> None:
    """List the waiting runs of all slots or of one, in the order in which they will start.

    \b
    Examples:
      smurfq queue list
      smurfq queue list --slot crate1slot2 --json
    """
    site = connection()
    found = Slots([slot_of(slot).slot] if slot else None, connection=site).queue()
    if as_json:
        echo_json({name: [waiting_dict(item) for item in waiting] for name, waiting in found.items()})
        return
    console = terminal()
    for name, waiting in found.items():
        if waiting:
            console.print(site.slot_names.both(name), style="bold")
            console.print(queue_table(waiting))
    if not any(found.values()):
        tell("nothing waits")


@queue.command()
@click.argument("run_id", metavar="ID")
@by_option
@reason_option
@json_option
def remove(run_id: str, by: str | None, reason: str, as_json: bool) -> None:
    """Remove a waiting run from its queue. It ends as aborted, and runs that are chained to it fail too."""
    run = run_of(run_id)
    run.remove(by, reason)
    _tell(run.id, "removed", as_json=as_json)


@queue.command()
@click.argument("run_id", metavar="ID")
@json_option
def move(run_id: str, as_json: bool) -> None:
    """Move a waiting run to the front of its queue."""
    run = run_of(run_id)
    run.move_to_front()
    _tell(run.id, "moved to the front", as_json=as_json)


def _tell(run_id: str, done: str, *, as_json: bool) -> None:
    if as_json:
        echo_json({"session_id": run_id, "done": done})
    else:
        tell(f"{short(run_id)} {done}")


COMMANDS = [queue]
