"""Commands that lock and unlock slots."""

from __future__ import annotations

from dataclasses import asdict

import click

from smurfq.cli.holding import TimeSpan
from smurfq.cli.options import connection, echo_json, force_option, json_option, owner_option, slot_of, slot_option
from smurfq.cli.terminal_text import tell
from smurfq.core.message_headers import OWNER


@click.command()
@slot_option
@click.option(
    "--note", "-m", metavar="TEXT", default="", help="The reason, which others see when their submissions are rejected."
)
@click.option(
    "--for", "for_s", type=TimeSpan(), help="Unlock the slot after this time, for example 2h. [default: never]"
)
@owner_option
@force_option
@json_option
def lock(*, slot: str | None, note: str, for_s: float | None, owner: str | None, force: bool, as_json: bool) -> None:
    """Lock a slot: it accepts only the owner's submissions until it is unlocked.

    Runs that were queued before still start; `smurfq hold` stops those too. Everybody can still submit emergency
    operations and `check_state`. To submit as the owner from another account or machine, give --owner NAME or set
    SMURFQ_OWNER=NAME.

    \b
    Examples:
      smurfq lock --slot crate1slot2 --note "tuning by hand" --for 2h
      smurfq lock -s 2 --owner schedule
    """
    chosen = slot_of(slot)
    put = chosen.lock(owner, note, for_s, force=force)
    others = [item for item in chosen.queue() if item.headers.get(OWNER) != put.owner]
    if as_json:
        echo_json({**asdict(put), "others_waiting": [item.task_id for item in others]})
        return
    tell(str(put))
    if others:
        tell(
            f"smurfq: runs of other owners that wait there and will still start: {len(others)}; "
            f"`smurfq queue list --slot {put.slot}` shows them, and `smurfq hold` stops them",
            err=True,
        )


@click.command()
@slot_option
@owner_option
@force_option
@json_option
def unlock(slot: str | None, owner: str | None, force: bool, as_json: bool) -> None:
    """Unlock a slot: it accepts everybody's submissions again.

    \b
    Examples:
      smurfq unlock --slot crate1slot2
    """
    chosen = slot_of(slot)
    before = connection().locks.get(chosen.slot)
    unlocked = chosen.unlock(owner, force=force)
    if as_json:
        echo_json({"slot": chosen.slot, "unlocked": unlocked})
    elif unlocked and before is not None and force:
        tell(f"{chosen} is unlocked; {before.owner} had locked it")
    else:
        tell(f"{chosen} is unlocked" if unlocked else f"{chosen} was not locked")


COMMANDS = [lock, unlock]
