"""Commands that hold and release slots."""

from __future__ import annotations

import re
from dataclasses import asdict

import click

from smurfq.cli.options import echo_json, force_option, json_option, owner_option, slot_of, slot_option
from smurfq.cli.terminal_text import tell

_UNITS_S = {"": 1.0, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d)?")


class TimeSpan(click.ParamType[float]):
    """A time span in seconds, written as ``90``, ``90s``, ``30min`` or ``2h``."""

    name = "TIME"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the span in seconds."""
        match = _SPAN.fullmatch(str(value).strip())
        if match is None or float(match[1]) <= 0:
            self.fail(f"{value!r} is not a time span; write 90, 90s, 30min, 2h or 1d", param, ctx)
        return float(match[1]) * _UNITS_S[match[2] or ""]


@click.command()
@slot_option
@click.option("--note", "-m", metavar="TEXT", default="", help="The reason, which `smurfq status` shows.")
@click.option(
    "--for", "for_s", type=TimeSpan(), help="Release the hold after this time, for example 30min. [default: never]"
)
@owner_option
@force_option
@json_option
def hold(*, slot: str | None, note: str, for_s: float | None, owner: str | None, force: bool, as_json: bool) -> None:
    """Hold a slot: it starts no new operation until it is released. A running operation continues.

    The command returns when the worker has stopped starting operations. A hold survives restarts. Emergency operations
    run in spite of it.

    \b
    Examples:
      smurfq hold --slot crate1slot2 --note "swapping the UFM" --for 2h
    """
    held = slot_of(slot).hold(owner, note, for_s, force=force)
    if as_json:
        echo_json({**asdict(held.hold), "confirmed": held.confirmed})
        return
    tell(str(held.hold))
    if not held.confirmed:
        tell(
            "smurfq: the worker did not confirm the hold in time; one more operation may start. "
            f"`smurfq status --slot {held.hold.slot}` shows it",
            err=True,
        )


@click.command()
@slot_option
@owner_option
@force_option
@json_option
def release(slot: str | None, owner: str | None, force: bool, as_json: bool) -> None:
    """Release a held slot. Its waiting runs can then start.

    \b
    Examples:
      smurfq release --slot crate1slot2
    """
    chosen = slot_of(slot)
    released = chosen.release(owner, force=force)
    if as_json:
        echo_json({"slot": chosen.slot, "released": released})
    else:
        tell(f"{chosen} is released" if released else f"{chosen} was not held")


COMMANDS = [hold, release]
