"""Commands that only read: `status`, `show` and `history`."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime

import click
from rich.text import Text

from smurfq import operations
from smurfq.cli.options import connection, echo_json, json_option, run_of, slot_of, slot_option
from smurfq.cli.render import history_table, moment, show_record, show_status, terminal
from smurfq.cli.terminal_text import clean, tell
from smurfq.client import Slots
from smurfq.client.status import bridges_health, summary
from smurfq.core.duration import duration
from smurfq.core.redis_url import without_password
from smurfq.store.archive_list import ArchiveList, ArchiveState
from smurfq.store.bridge import Health


@click.command()
@slot_option
@json_option
def status(slot: str | None, as_json: bool) -> None:
    """Show the bridges, the archive, and the worker, hold, running and waiting runs of each slot.

    Without --slot, all slots of the site are shown.

    \b
    Examples:
      smurfq status
      smurfq status --slot crate1slot2 --json
    """
    site = connection()
    found = list(Slots([slot_of(slot).slot] if slot else None, connection=site).status().values())
    with site.reached():
        bridges = {one.bridge_name: one.bridge for one in found} | bridges_health(site)
        archives = {name: ArchiveList(site.redis, name).state() for name in sorted(bridges)}
    if as_json:
        shown = {name: asdict(health) if health else None for name, health in bridges.items()}
        lists = {name: asdict(state) for name, state in archives.items()}
        echo_json({"bridges": shown, "archives": lists, "slots": [one.to_dict() for one in found]})
        return
    console = terminal()
    if site.settings.simulated:
        console.print(Text("SIMULATED SITE: no real card is touched", "bold yellow"))
    console.print(Text(f"redis  {without_password(site.settings.redis_url)}", "dim"))
    for name, bridge in sorted(bridges.items()):
        console.print(_bridge_text(name, bridge))
    for name, archive in archives.items():
        if site.settings.archive.database is not None or archive.in_use:
            console.print(_archive_text(name, archive))
    for one in found:
        show_status(console, one)


@click.command()
@click.argument("run_id", metavar="ID")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show the record of a run, whether it is waiting, running or over.

    \b
    Examples:
      smurfq show 3f2a91c0
      smurfq show 3f2a91c0 --json | jq .data
    """
    record = run_of(run_id).record()
    if as_json:
        echo_json(record.to_dict())
    else:
        show_record(terminal(), record)


@click.command()
@slot_option
@click.option("--operation", "-o", metavar="NAME", help="List only runs of this operation.")
@click.option(
    "--before",
    metavar="TIME",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]),
    help="List only runs submitted before this time (local time): 2026-11-23 or '2026-11-23 20:15'.",
)
@click.option("--count", "-n", type=click.IntRange(min=1), default=20, show_default=True, help="How many.")
@json_option
def history(*, slot: str | None, operation: str | None, before: datetime | None, count: int, as_json: bool) -> None:
    """List the newest runs, newest first, of all slots or of one.

    \b
    Examples:
      smurfq history -n 50
      smurfq history --slot crate1slot2 --operation take_iv --before 2026-11-23
      smurfq history --slot crate1slot2 --json | jq -r '.[] | select(.outcome == "failed").session_id'
    """
    site = connection()
    of_slot = slot_of(slot).slot if slot else None
    named = operations.operation(operation).name if operation else None
    with site.reached():
        records = site.records.history(of_slot, count, before.timestamp() if before else None, named)
    if as_json:
        echo_json([summary(record) for record in records])
    elif records:
        terminal().print(history_table(records))
    else:
        tell("no such runs" if slot or operation or before else "no runs yet")


def _bridge_text(name: str, bridge: Health | None) -> Text:
    if bridge is None:
        todo = "messages are lost while it does not run; `smurfq bridge` on that host starts it"
        return Text(clean(f"bridge  {name} is not running, or cannot reach Redis: {todo}"), "bold red")
    counts = bridge.counters
    text = Text(clean(f"bridge  {name} alive at {bridge.address} since {moment(bridge.started)}, "))
    text.append(f"{counts.received} received, {counts.applied} applied, {counts.registers} values of registers")
    for counter in ("malformed", "unknown_id", "lost", "buffered", "buffered_dropped", "kernel_dropped"):
        number = getattr(counts, counter)
        if number:
            text.append(f", {number} {counter.replace('_', ' ')}", "yellow")
    return text


def _archive_text(name: str, archive: ArchiveState) -> Text:
    registrar = archive.registrar
    if registrar is None:
        todo = "`smurfq archive` on that host starts it"
        text = Text(clean(f"archive  {name}: no registrar runs: files are not registered; {todo}"), "bold red")
    elif registrar.problem:
        text = Text(clean(f"archive  {name}: {registrar.problem}"), "bold red")
    else:
        text = Text(clean(f"archive  {name}: {archive.registered} files registered in {registrar.database}"))
    if archive.oldest is not None:
        text.append(f", {archive.waiting} waiting, the oldest for {duration(time.time() - archive.oldest)}", "yellow")
    if archive.set_aside:
        text.append(f", {archive.set_aside} could not be registered", "yellow")
    return text


COMMANDS = [status, show, history]
