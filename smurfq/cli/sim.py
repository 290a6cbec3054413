"""The commands that serve simulated slots and inject faults into them."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from smurfq.cli.options import echo_json, json_option
from smurfq.config import load
from smurfq.errors import StartError, WaitTimeoutError

_IN_FORCE_WITHIN_S = 5.0
_folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the simulator's files.  [default: sim in the state folder]",
)


@click.group(
    invoke_without_command=True,
    epilog="""\b
Examples:
  smurfq sim
  smurfq sim --slot crate1slot2 --folder /tmp/sim
  smurfq sim fault locked_up --slot crate1slot2
  smurfq sim fault --clear""",
)
@click.option("--slot", "-s", "slots", multiple=True, metavar="SLOT", help="Serve only this slot. Repeatable.")
@_folder_option
@click.pass_context
def sim(context: click.Context, slots: tuple[str, ...], folder: Path | None) -> None:
    """Serve simulated slots over Channel Access, in the foreground, for any EPICS client.

    Without --slot, it serves all slots of the site. It prints the environment variables that a client needs; with
    `smurfq up --sim`, the site's own processes have them. After SIGTERM or Ctrl-C, it completes its g3 files and exits.
    """
    if context.invoked_subcommand is not None:
        return
    run = _simulator("smurfq.sim.__main__").run
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run(slots, folder)


@sim.command()
@click.argument("name", required=False)
@click.option("--slot", "-s", "slot", metavar="SLOT", help="The slot. It may be omitted if the site has only one.")
@click.option(
    "--value",
    metavar="JSON",
    help='The value of the fault, for example `0.3` for gaps or `["AggTime"]` for dead_registers.',
)
@click.option("--off", is_flag=True, help="Clear this fault.")
@click.option("--clear", is_flag=True, help="Clear all faults of all slots.")
@_folder_option
@json_option
def fault(
    name: str | None,
    slot: str | None,
    value: str | None,
    off: bool,
    clear: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Inject a fault into a simulated slot. Without a NAME, list the known and the active faults.

    The command returns when the simulator has applied the fault. If no simulator is running, the next one starts with
    the fault.
    """
    faults = _simulator("smurfq.sim.faults")
    settings = load({**os.environ, "SMURFQ_SIMULATED": "true"})  # with the stream ids of the simulated slots
    below = folder.absolute() if folder is not None else _simulator("smurfq.sim.surroundings").folder_of(settings)
    asked = {} if clear else _present(below)
    if name is not None:
        chosen = settings.check_slot(slot) if slot else _only(settings.slots)
        asked[chosen] = asked.get(chosen, faults.Faults()).with_fault(name, False if off else _parsed(name, value))
    if name is not None or clear:
        faults.write(below, asked)
        _await(below, asked)
    if as_json:
        echo_json({slot: found.to_dict() for slot, found in asked.items()})
        return
    if name is None and not clear:
        for known, meaning in faults.MEANINGS.items():
            click.echo(f"{known:16} {meaning}")
    for which, found in asked.items():
        click.echo(f"{which}: {json.dumps(found.to_dict()) if found.to_dict() else 'no fault'}")
    if not asked:
        click.echo("no slot has a fault")


def _present(folder: Path) -> dict[str, Any]:
    """Return the active faults, or those with which the next simulator of a folder will start."""
    faults = _simulator("smurfq.sim.faults")
    status = _simulator("smurfq.sim.presence").read(folder)
    if status is None:
        found: dict[str, Any] = faults.read(folder)
        return found
    return {slot: faults.from_dict(told["faults"]) for slot, told in status["slots"].items()}


def _simulator(module: str) -> Any:
    import importlib  # noqa: PLC0415 - the other commands do not need the simulator's numpy, caproto and so3g

    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as cause:
        raise StartError(
            f"simulated slots need the package {cause.name}: pip install 'smurfq[sim]'", package=cause.name
        ) from cause


def _parsed(name: str, value: str | None) -> Any:
    if value is None:
        return True
    try:
        return json.loads(value)
    except ValueError as cause:
        raise click.BadParameter(f"{name}: {value!r} is not JSON ({cause})", param_hint="--value") from cause


def _only(slots: tuple[str, ...]) -> str:
    if len(slots) != 1:
        raise click.UsageError(f"which slot? Give --slot with one of {', '.join(slots)}")
    return slots[0]


def _await(folder: Path, asked: dict[str, Any]) -> None:
    """Wait until the simulator of a folder has applied the faults. Return at once if none is running there."""
    read_status = _simulator("smurfq.sim.presence").read
    deadline = time.monotonic() + _IN_FORCE_WITHIN_S
    while True:
        status = read_status(folder)
        if status is None:
            click.echo(
                f"no simulator is running in {folder}; the next one there will start with these faults", err=True
            )
            return
        if all(asked[slot].to_dict() == told["faults"] for slot, told in status["slots"].items() if slot in asked) and (
            not any(told["faults"] for slot, told in status["slots"].items() if slot not in asked)
        ):
            return
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                f"the simulator in {folder} did not apply the faults within {_IN_FORCE_WITHIN_S:g} s"
            )
        time.sleep(0.05)


COMMANDS: list[click.Command] = [sim]
