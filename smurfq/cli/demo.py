"""The `demo` command: a control script and an observing workflow on a simulated slot, with a check of the results."""

from __future__ import annotations

import os
import pprint
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from smurfq.cli.exit_codes import ExitCode
from smurfq.cli.render import terminal
from smurfq.cli.view import watch
from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.config import Settings
from smurfq.core.card import NUM_BANDS
from smurfq.core.session import SessionRecord
from smurfq.site import detached
from smurfq.site.demo import findings, pictures, place, script, tuned, workflow
from smurfq.site.flower import login_words

_READY_WITHIN_S = 120.0
_STEP_WITHIN_S = 240.0
_TUNING_WITHIN_S = 3600.0
_FOLDER = Path(".smurfq/demo")
_FULL_FOLDER = Path(".smurfq/demo-full")
_FULL_BANDS = 2  # each band takes two minutes to set up and one and a half to relock
_TUNING = ("uxm_setup", "uxm_relock")


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="The folder for the demo's site; the demo writes no files elsewhere.  "
    f"[default: {_FOLDER}, with --full {_FULL_FOLDER}]",
)
@click.option("--keep", is_flag=True, help="Leave the site up afterwards.")
@click.option(
    "--full", is_flag=True, help="Begin with a card that was never set up, and run uxm_setup and uxm_relock first."
)
@click.option(
    "--bands",
    type=click.IntRange(1, NUM_BANDS),
    default=None,
    help=f"With --full, the number of bands to set up.  [default: {_FULL_BANDS}]",
)
def demo(folder: Path | None, keep: bool, full: bool, bands: int | None) -> None:
    """Run a control script and an observing workflow on a simulated slot, and check the results.

    The demo brings up a site of its own (Valkey, bridge, a simulated slot, its worker, Flower) on free ports. It runs
    a script that publishes with the real pysmurf Publisher. Then it runs take_bgmap, take_iv, bias_dets,
    take_bias_steps, take_noise and stream of the real sodetlib as one Celery chain. It compares the results with the
    parameters of the simulated detectors, and stops the site. If a result is wrong, the exit code is not 0.

    With --full, the card starts in the state it has just after power-on, and the chain starts with uxm_setup and
    uxm_relock.
    """
    if bands is not None and not full:
        raise click.UsageError("--bands needs --full: without it, all bands are tuned already")
    folder = folder or (_FULL_FOLDER if full else _FOLDER)
    chosen = list(range(bands or _FULL_BANDS)) if full else []
    place.require_packages()
    script.script_path()
    environ = place.environment(folder, os.environ, cold=full)
    settings = place.settings_of(environ)
    was_up = place.is_up(settings)
    if full and not settings.sim.cold:
        raise click.UsageError(
            f"a demo without --full is up in {folder}: stop it with `smurfq down`, or give another --folder"
        )
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # so that `finally` ends the site
    click.secho(f"SIMULATED: {place.SLOT} of this demo is not hardware", bold=True, fg="yellow")
    try:
        if was_up:
            click.echo(f"The demo's site is up already in {settings.state_dir}")
        else:
            click.echo(f"Bringing up a site of one slot in {settings.state_dir}")
            arguments = ["--sim", "--timeout", str(_READY_WITHIN_S), "--brief"]
            detached.start(settings, environ, arguments, _quietly)
        found = _show_script(settings) or _show_workflow(settings, chosen)
    finally:
        if not (keep or was_up) and detached.end(settings, _quietly):
            click.echo("The site is stopped; `smurfq demo --keep` leaves it up.")
    for problem in found:
        click.echo(f"smurfq demo: {problem}", err=True)
    if found:
        raise click.exceptions.Exit(ExitCode.FAILED)
    if keep or was_up:
        _tell_next(environ["SMURFQ_CONFIG"], settings)


def _show_script(settings: Settings) -> list[str]:
    """Run the script and show it. Return a list of the problems."""
    path = script.script_path()
    arguments = ["--duration", f"{script.DURATION_S:g}", "--data-dir", str(settings.smurf.smurf_data_dir)]
    click.echo(f"\n1. A control script, {path}, on {place.SLOT}, with Celery, from a client:\n")
    click.echo(f'    >>> run = Slot("{place.SLOT}").submit("run", script="{path}", args={arguments})\n')
    run = Slot(place.SLOT, settings).submit("run", script=str(path), args=arguments)
    record = watch(run, terminal(), output=True, timeout_s=_STEP_WITHIN_S)
    click.echo("\nThe values that the script returned:\n")
    click.echo("    >>> sess = run.wait().to_dict()")
    click.echo("    >>> print(sess['data'])")
    click.echo("\n".join(f"    {line}" for line in pprint.pformat(record.to_dict()["data"]).splitlines()) + "\n")
    return script.problems(record)


def _show_workflow(settings: Settings, bands: Sequence[int]) -> list[str]:
    """Run the workflow and show it. If ``bands`` are given, set them up first. Return a list of the problems."""
    steps = workflow.full_steps(bands) if bands else workflow.STEPS
    names = ", ".join(f"{step.operation}.si(…)" for step in steps)
    click.echo(f"2. An observing workflow on {place.SLOT}, by pysmurf and sodetlib, as one Celery chain:\n")
    click.echo(f"    >>> chain({names}).delay()")
    connection, console = Connection(settings), terminal()
    records: dict[str, SessionRecord] = {}
    for step, run_id in zip(steps, workflow.submit(connection, place.SLOT, steps), strict=True):
        click.echo(f"\n{step.operation}: {step.why}")
        within_s = _TUNING_WITHIN_S if step.operation in _TUNING else _STEP_WITHIN_S
        record = watch(workflow.sent(connection, run_id), console, data=False, timeout_s=within_s)
        if record.outcome != "succeeded":
            why = (record.error or {}).get("message", "the record has no error message")
            return [f"{step.operation} {record.outcome}, so the chain ended: {why}; the log is {record.log_file}"]
        records[step.operation] = record
    return _show_findings(settings, records, bands)


def _show_findings(settings: Settings, records: dict[str, SessionRecord], bands: Sequence[int]) -> list[str]:
    from smurfq.site.demo.expected import (  # noqa: PLC0415 - needs numpy, which the other commands do not
        expected,
        expected_tune,
    )

    biases_v = records["bias_dets"].data["biases"]
    held = expected(settings, place.SLOT, biases_v, findings.BIASED, bands)
    data = {name: record.data for name, record in records.items()}
    rows = findings.compare(data, held)
    if bands:
        tune = expected_tune(settings, place.SLOT, bands)
        rows = [*tuned.compare_tune(data["uxm_setup"], data["uxm_relock"], tune), *rows]
    table = Table("", "measured", "true", "tolerance", "", title="SIMULATED SLOT: measured and true values", box=None)
    for column in table.columns[1:4]:
        column.justify = "right"
    for row in rows:
        verdict = Text("agrees", "green") if row.agrees else Text("DOES NOT AGREE", "bold red")
        table.add_row(row.what, row.found, row.held, row.bound, verdict)
    click.echo()
    terminal().print(table)
    timestreams = settings.smurf.timestreams_dir
    for title, paths in (
        ("sodetlib drew", [path for record in records.values() for path in pictures.pictures(record)]),
        ("The stream's g3 files", pictures.g3_files(records["stream"], timestreams)),
    ):
        click.echo(f"\n{title}:\n" + "\n".join(f"  {path}" for path in paths))
    click.echo(f"\nThe other operations wrote their g3 files below {timestreams}\n")
    return [row.problem() for row in rows if not row.agrees] + pictures.missing(records, timestreams)


def _tell_next(site_file: str, settings: Settings) -> None:
    slot = place.SLOT
    click.echo(
        f"""The site is up. Try:
  export SMURFQ_CONFIG={shlex.quote(site_file)}
  smurfq run {shlex.quote(str(script.script_path()))} --slot {slot} -- --duration 60 --data-dir /tmp
  smurfq status            in another terminal, and smurfq abort --slot {slot}
  smurfq submit set_biases --slot {slot} --param bias=3.0 --follow
  smurfq history
  smurfq doctor
  http://{settings.flower.host}:{settings.flower.port}    {login_words(settings)}
  smurfq down              ends it"""
    )


def _quietly(text: str) -> None:
    if text.strip():
        click.echo(click.style(f"  {text}", dim=True))


COMMANDS: list[click.Command] = [demo]
