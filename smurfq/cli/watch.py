"""The command that shows all slots in one live table."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from smurfq.cli.exit_codes import ExitCode
from smurfq.cli.options import connection, echo_json, json_option, place_of
from smurfq.cli.render import terminal
from smurfq.cli.slot_rows import Row, Rows
from smurfq.cli.slot_table import plain_line, table
from smurfq.cli.terminal_text import tell
from smurfq.errors import StoreUnavailableError

_SIMULATED = "SIMULATED SITE: no real card is touched"


@click.command()
@click.option("--slot", "-s", "slots", metavar="SLOT", multiple=True, help="Show only this slot. Repeatable.")
@click.option("--once", is_flag=True, help="Show the table once and return.")
@click.option(
    "--every",
    "every_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Time between updates.",
)
@json_option
def watch(*, slots: tuple[str, ...], once: bool, every_s: float, as_json: bool) -> None:
    """Show all slots in one live table, until Ctrl-C.

    The table has the operation, its stage, the elapsed and the remaining time (estimated from the newest successful run
    of the operation), waiting runs, holds, locks, and the workflow of the run. If the output is not a terminal, each
    change is one line; with --json, one line of JSON.

    \b
    Examples:
      smurfq watch
      smurfq watch --once --json | jq '.[] | select(.operation)'
    """
    site = connection()
    chosen = [place_of(slot) for slot in slots] or list(site.settings.slots)
    rows = Rows(site, dict.fromkeys(chosen))
    title = _SIMULATED if site.settings.simulated else ""
    console = terminal()
    if once:
        found = rows.read()
        if as_json:
            echo_json([row.to_dict() for row in found])
        else:
            console.print(table(found, _width(console), title))
        return
    try:
        if console.is_terminal and not as_json:
            _live(console, rows.read, every_s, title)
        else:
            _changes(rows.read, every_s, as_json=as_json)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)


def _width(console: Console) -> int:
    """Return the width of the terminal, or 80 if the output is not a terminal."""
    return console.width if console.is_terminal else 80


def _live(console: Console, read: Callable[[], Sequence[Row]], every_s: float, title: str) -> None:
    shown: Sequence[Row] = ()
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            try:
                shown = read()
                live.update(table(shown, console.width, title), refresh=True)
            except StoreUnavailableError as error:
                live.update(
                    Text(f"{error}\ntrying again; the last update showed {len(shown)} slots", "red"), refresh=True
                )
            time.sleep(every_s)


def _changes(read: Callable[[], Sequence[Row]], every_s: float, *, as_json: bool) -> None:
    before: dict[str, object] = {}
    away = False
    while True:
        try:
            found = read()
        except StoreUnavailableError as error:
            if not away:
                tell(f"smurfq: {error}; trying again", err=True)
            away, found = True, []
        else:
            away = False
        for row in found:
            if before.get(row.slot) != row.gist():
                before[row.slot] = row.gist()
                _tell(row, as_json=as_json)
        time.sleep(every_s)


def _tell(row: Row, *, as_json: bool) -> None:
    now = time.time()
    if as_json:
        echo_json({"time": now, **row.to_dict()})
    else:
        tell(f"{time.strftime('%H:%M:%S', time.localtime(now))} {plain_line(row)}")


COMMANDS = [watch]
