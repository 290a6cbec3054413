"""Commands that end runs."""

from __future__ import annotations

import sys

import click

from smurfq.cli.exit_codes import ExitCode
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
from smurfq.cli.terminal_text import tell
from smurfq.cli.view import follow_to_end
from smurfq.client import Answer, Run, Slots
from smurfq.client.waiting import short

_SAID = {
    "removed": "had not started; it was removed from its queue",
    "over": "had already ended",
}
_wait_option = click.option("--wait", "-w", is_flag=True, help="Return only when the run is over.")


@click.command()
@click.argument("run_id", metavar="[ID]", required=False)
@slot_option
@by_option
@reason_option
@_wait_option
@json_option
def stop(*, run_id: str | None, slot: str | None, by: str | None, reason: str, wait: bool, as_json: bool) -> None:
    """Ask a run to stop cleanly. `stream` and `check_state` then succeed; other operations end as aborted.

    Without an ID, the run that the slot is executing is stopped. A run that has not started is removed from its queue.

    \b
    Examples:
      smurfq stop 3f2a91c0
      smurfq stop --slot crate1slot2 --wait
    """
    run = _wanted(run_id, slot)
    _tell(run, run.stop(by, reason), "asked to stop", as_json=as_json, wait=wait)


@click.command()
@click.argument("run_id", metavar="[ID]", required=False)
@slot_option
@by_option
@reason_option
@click.option(
    "--grace",
    "grace_s",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="The longest time for each stage of the abort before the next, harder one. [default: the site's setting]",
)
@_wait_option
@json_option
def abort(
    *,
    run_id: str | None,
    slot: str | None,
    by: str | None,
    reason: str,
    grace_s: float | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Abort a run in stages: ask it, then signal it, then kill it. Runs that are chained to it fail too.

    Without an ID, the run that the slot is executing is aborted. A run that has not started is removed from its queue.

    \b
    Examples:
      smurfq abort 3f2a91c0 --reason "wrong bias" --wait
      smurfq abort --slot crate1slot2 --grace 0
    """
    run = _wanted(run_id, slot)
    _tell(run, run.abort(by, reason, grace_s=grace_s), "asked to abort", as_json=as_json, wait=wait)


@click.command("emergency-off")
@slot_option
@click.option("--all", "every", is_flag=True, help="Switch off all slots of the site at once.")
@by_option
@reason_option
@click.option("--detach", "-d", is_flag=True, help="Do not wait until the cards are off.")
@json_option
def emergency_off(*, slot: str | None, every: bool, by: str | None, reason: str, detach: bool, as_json: bool) -> None:
    """Switch off a slot's card now: hold the slot, abort its operation, run `all_off`.

    This works on a held slot too, and does not ask for confirmation. The slot stays held until `smurfq release`. The
    exit code is that of `all_off`; with --all, it is that of the first `all_off` that did not succeed.

    \b
    Examples:
      smurfq emergency-off --slot crate1slot2 --reason "cryostat warms up"
      smurfq emergency-off --all
    """
    if every and slot is not None:
        raise click.UsageError("give --slot or --all, not both")
    site = connection()
    names = list(site.settings.slots) if every else [slot_of(slot).slot]
    runs = Slots(names, connection=site).emergency_off(by, reason)
    codes = []
    for name, run in runs.items():
        if detach:
            _tell(run, "asked", "queued ahead of everything else", as_json=as_json, wait=False)
        else:
            codes.append(follow_to_end(run, as_json=as_json))
        tell(f"{site.slot_names.both(name)} stays held; `smurfq release --slot {name}` releases it", err=True)
    sys.exit(next((code for code in codes if code), ExitCode.SUCCEEDED))


def _wanted(run_id: str | None, slot: str | None) -> Run:
    if run_id is not None and slot is not None:
        raise click.UsageError("give an ID or --slot, not both")
    return slot_of(slot).current_run() if run_id is None else run_of(run_id)


def _tell(run: Run, answer: Answer, asked: str, *, as_json: bool, wait: bool) -> None:
    record = run.wait() if wait else run.header()
    if as_json:
        echo_json({"session_id": run.id, "answer": answer, "status": record.status, "outcome": record.outcome})
        return
    what = f"{record.op_name} {short(run.id)} on {record.where}"
    tell(f"{what} {_SAID.get(answer, asked)}{f'; it ended as {record.outcome}' if record.done else ''}")
    if not record.done:
        tell(f"`smurfq follow {short(run.id)}` shows how it ends")


COMMANDS = [stop, abort, emergency_off]
