"""The commands that start and stop a site on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table

from smurfq.cli.demo import demo
from smurfq.cli.exit_codes import ExitCode
from smurfq.cli.terminal_text import tell
from smurfq.config import FILE_VARIABLE, Settings, load, names_no_site
from smurfq.site import detached, simulation
from smurfq.site.journal import Entry, State
from smurfq.site.up import Site

_READY_WITHIN_S = 120.0
_MORE_A_SLOT_S = 15.0


@click.command()
@click.option(
    "--detach",
    is_flag=True,
    help="Return when the site is ready, and leave it running in the background; `smurfq down` stops it.",
)
@click.option("--no-flower", is_flag=True, help="Do not start Flower, the monitoring page.")
@click.option("--sim", is_flag=True, help="Use simulated slots instead of the cards; every record says so.")
@click.option("--slot", "-s", "slots", multiple=True, metavar="SLOT", help="Start only this slot's worker. Repeatable.")
@click.option(
    "--timeout",
    metavar="SECONDS",
    type=click.FloatRange(min=1),
    help="The longest time to wait until the site is ready.  [default: 120, plus 15 for each slot]",
)
@click.option("--brief", is_flag=True, help="Do not print the table of processes.")
def up(detach: bool, no_flower: bool, sim: bool, slots: tuple[str, ...], timeout: float | None, brief: bool) -> None:
    """Start the site on this machine: Valkey, the bridge, a worker for each slot, Flower, and the archive if it is set.

    smurfq starts its embedded Valkey, with the data in the state folder, unless SMURFQ_REDIS_URL names another server.
    If a process dies, smurfq starts it again after a pause of 1 s, which doubles each time up to 30 s. Ctrl-C stops all
    processes cleanly; a second Ctrl-C kills them. Their logs are in <state_dir>/logs.
    """
    settings = load(os.environ)
    chosen = tuple(settings.check_slot(slot) for slot in slots) or settings.slots
    if sim:
        os.environ.update(simulation.simulated(os.environ, settings, chosen))  # the site's processes inherit these
        settings = load(os.environ)
        if not detach:  # else the process in the background writes it
            click.echo(f"SIMULATED: {', '.join(chosen)} {'is' if len(chosen) == 1 else 'are'} not hardware")
    within_s = timeout or _READY_WITHIN_S + _MORE_A_SLOT_S * len(chosen)
    if detach:
        arguments = ["--timeout", str(within_s), *(["--no-flower"] if no_flower else [])]
        arguments += ["--brief"] if brief else []
        arguments += ["--sim"] if sim else []
        arguments += [word for slot in slots for word in ("--slot", slot)]
        present = detached.start(settings, os.environ, arguments, click.echo)
        if present.state != "ready":
            raise click.exceptions.Exit(1)
        return

    def on_ready(state: State, entries: list[Entry]) -> None:
        if not brief:
            show_site(settings, state, entries, chosen)

    Site(settings, chosen, flower=not no_flower, sim=sim, say=_say).run(within_s, on_ready)


@click.command()
def down() -> None:
    """Stop the site that is up on this machine. No other processes are touched."""
    settings = load(os.environ)
    if detached.end(settings, click.echo):
        click.echo("the site is stopped")
        return
    folder = settings.state_dir.absolute()
    if names_no_site(os.environ) and not folder.exists():
        text = f"no site was found: {FILE_VARIABLE} is not set, and {folder} does not exist. Nothing was stopped"
    else:
        text = f"no site is up in {folder}. Nothing was stopped"
    tell(
        f"smurfq: {text}; run this in the folder of the site, or set {FILE_VARIABLE} or SMURFQ_STATE_DIR",
        err=True,
    )
    raise click.exceptions.Exit(ExitCode.NOT_FOUND)


@click.command()
@click.option("--persistent", is_flag=True, help="Keep Flower's data across restarts, in <state_dir>/flower.db.")
def flower(persistent: bool) -> None:
    """Serve Flower, the monitoring page, behind a login.

    The password is the setting flower.password. If it is not set, smurfq generates a password at the first start and
    keeps it in the state folder. Flower's own FLOWER_* variables apply: FLOWER_READ_ONLY=1 for a read-only page,
    FLOWER_CERTFILE and FLOWER_KEYFILE for TLS, FLOWER_URL_PREFIX behind a proxy.
    """
    from smurfq.site.flower import run  # noqa: PLC0415 - the other commands start without it

    run(load(os.environ), persistent=persistent)


def show_site(settings: Settings, state: State, entries: Sequence[Entry], slots: Sequence[str]) -> None:
    """Write the table of processes, and commands to try next."""
    console = Console(highlight=False, markup=False)
    title = "smurfq is up" if state == "ready" else "smurfq is up, but some processes are not ready"
    table = Table(title=title, title_justify="left", title_style="bold")
    for heading in ("what", "state", "process", "where"):
        table.add_column(heading, overflow="fold")
    for entry in entries:
        pid = str(entry.who.pid) if entry.who else ""
        table.add_row(entry.name, entry.state, pid, entry.where)
    console.print(table)
    console.print(f"The logs are in {settings.log_dir}")
    if settings.simulated:
        console.print("The slots are SIMULATED: every record says so.")
    slot = slots[0]
    console.print(
        f"""Try, in another terminal:
  smurfq submit test --slot {slot} --follow
  smurfq status
  smurfq doctor
  smurfq down            (or Ctrl-C where it runs)"""
    )


def _say(text: str) -> None:
    click.echo(f"{datetime.now():%H:%M:%S} {text}")


COMMANDS: list[click.Command] = [up, down, demo, flower]
