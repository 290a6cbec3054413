"""The command that reads feeds, the data that operations publish for monitoring."""

from __future__ import annotations

from datetime import datetime

import click
from rich.table import Table

from smurfq.cli.options import connection, echo_json, json_option, slot_of
from smurfq.cli.render import terminal
from smurfq.cli.terminal_text import tell
from smurfq.operations import OPERATIONS
from smurfq.store.feeds import G3_FILES, REGISTERS, Block, Feeds

NAMES = (*dict.fromkeys(operation.feed for operation in OPERATIONS.values() if operation.feed), G3_FILES, REGISTERS)


@click.command()
@click.argument("name", metavar="[NAME]", type=click.Choice(NAMES), required=False)
@click.option("--slot", "-s", metavar="SLOT", help="Show blocks of this slot only.")
@click.option(
    "--count",
    "-n",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Show this many of the newest blocks.",
)
@click.option(
    "--follow", "-f", "follow_on", is_flag=True, help="Continue with new blocks as they arrive, until Ctrl-C."
)
@json_option
def feed(name: str | None, slot: str | None, count: int, follow_on: bool, as_json: bool) -> None:
    """Show a feed: the blocks of data that operations publish for monitoring, oldest first.

    The feed g3_files lists the files that the smurf servers have closed, each with the record of the run that streamed
    it; null if somebody else did. The feed registers has the values of the servers' registers that have changed.

    Without a NAME, list the feeds with the last block of each slot. With --json, each block is one line of JSON. The
    bridge also serves the last block of each slot as Prometheus gauges (setting bridge.metrics_port).

    \b
    Examples:
      smurfq feed
      smurfq feed iv_results -n 3
      smurfq feed tracking_results --slot crate1slot2 --follow --json
    """
    site = connection()
    wanted = slot_of(slot).slot if slot else None
    feeds = Feeds(site.redis)
    with site.reached():
        if name is None:
            _overview(feeds, wanted, as_json=as_json)
            return
        blocks = feeds.latest(name, count, wanted)
        for block in reversed(blocks):
            _write(block, as_json=as_json)
        if not blocks and not as_json:
            tell(f"{name} has no blocks yet")
        if follow_on:
            _follow(feeds, name, wanted, blocks[0].position if blocks else "$", as_json=as_json)


def _follow(feeds: Feeds, name: str, slot: str | None, position: str, *, as_json: bool) -> None:
    try:
        for block in feeds.subscribe(name, position):
            if block is not None and slot in (None, block.slot):
                _write(block, as_json=as_json)
    except KeyboardInterrupt:
        return


def _overview(feeds: Feeds, slot: str | None, *, as_json: bool) -> None:
    last = [block for name in NAMES for block in feeds.last(name) if slot in (None, block.slot)]
    if as_json:
        for block in last:
            _write(block, as_json=True)
        return
    table = Table("feed", "slot", "last block", "fields")
    for name in NAMES:
        of_feed = [block for block in last if block.block_name == name]
        for block in of_feed:
            table.add_row(name, connection().slot_names.both(block.slot), _when(block), str(len(block.data)))
        if not of_feed:
            table.add_row(name, "", "none yet", "")
    terminal().print(table)


def _write(block: Block, *, as_json: bool) -> None:
    names = connection().slot_names
    if as_json:
        echo_json({**block.to_dict(), "stream_id": names.shown(block.slot)})
        return
    tell(f"{_when(block)}  {names.both(block.slot)}  {block.block_name}")
    for field, value in block.data.items():
        tell(f"    {field:<28} {_number(value)}")


def _when(block: Block) -> str:
    return datetime.fromtimestamp(block.timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _number(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


COMMANDS = [feed]
