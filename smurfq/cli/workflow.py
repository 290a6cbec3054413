"""Commands that list, submit, show, hold and abort workflows."""

from __future__ import annotations

import sys
import time
from typing import cast

import click
from rich.table import Table
from rich.text import Text

from smurfq.cli.exit_codes import ExitCode
from smurfq.cli.holding import TimeSpan
from smurfq.cli.options import (
    by_option,
    connection,
    echo_json,
    force_option,
    json_option,
    owner_option,
    parse_params,
    place_of,
    reason_option,
    timeout_option,
)
from smurfq.cli.render import OUTCOME_STYLE, moment, terminal
from smurfq.cli.terminal_text import clean, tell
from smurfq.cli.view import follow_to_end
from smurfq.client import Priority
from smurfq.client.waiting import short
from smurfq.core.duration import duration
from smurfq.workflows import Definition, StepStatus, WorkflowRun, WorkflowStatus, available, recent
from smurfq.workflows import submit as submit_workflow


@click.group()
def workflow() -> None:
    """Submit, show, hold and abort observing workflows, which the workflows' worker runs."""


@workflow.command("list")
@click.option("--count", "-n", type=click.IntRange(min=1), default=10, show_default=True, help="List this many runs.")
@json_option
def list_workflows(count: int, as_json: bool) -> None:
    """List the workflows that smurfq provides, and the newest runs of workflows.

    \b
    Examples:
      smurfq workflow list
      smurfq workflow list --json | jq '.runs[] | select(.state == "running")'
    """
    runs = recent(count, connection=connection())
    if as_json:
        echo_json({"available": [_described(one) for one in available()], "runs": [one.to_dict() for one in runs]})
        return
    for one in available():
        given = ", ".join(f"{each.name}{'' if each.required else f'={each.default!r}'}" for each in one.parameters)
        tell(f"{one.name:<17} {one.summary}{f' ({given})' if given else ''}")
    if not runs:
        return
    tell()
    table = Table("id", "submitted", "workflow", "state", "step", "slots", "took", box=None, pad_edge=False)
    for status in runs:
        step = status.steps[-1] if status.steps else None
        table.add_row(
            short(status.record.session_id),
            moment(status.record.submit_time),
            clean(status.name),
            _state(status),
            f"{step.number} {clean(step.name)}" if step else "-",
            f"{len(status.targets) - len(status.dropped)} of {len(status.targets)}" if status.targets else "all",
            _took(status.record.start_time, status.record.end_time),
        )
    terminal().print(table)


@workflow.command(
    epilog="""\b
Examples:
  smurfq workflow submit cold_start --follow
  smurfq workflow submit observation -p duration_s=3600 --slot 2 --slot 3
  smurfq workflow submit observe.py --min-survivors 5

\b
`smurfq workflow list` lists the workflows that smurfq provides. A file must lie below one of the site's script
folders (scripts.folders), on the machine of the workflows' worker."""
)
@click.argument("name")
@click.option(
    "--param", "-p", "texts", metavar="KEY=JSON", multiple=True, help="A parameter of the workflow. Repeatable."
)
@click.option("--slot", "-s", "slots", metavar="SLOT", multiple=True, help="Run only on this slot. Repeatable.")
@click.option(
    "--min-survivors", metavar="N", type=click.IntRange(min=0), help="End the workflow if fewer slots are left."
)
@click.option(
    "--max-failures", metavar="N", type=click.IntRange(min=0), help="End the workflow if more slots were dropped."
)
@click.option(
    "--priority",
    type=click.Choice(("urgent", "normal", "background")),
    default="normal",
    show_default=True,
    help="Priority among the waiting workflows.",
)
@click.option("--follow", "-f", is_flag=True, help="Show the workflow until it ends; the exit code gives its outcome.")
@timeout_option
@json_option
def submit(
    *,
    name: str,
    texts: tuple[str, ...],
    slots: tuple[str, ...],
    min_survivors: int | None,
    max_failures: int | None,
    priority: str,
    follow: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Queue a workflow, given by its name or as a file. It continues after this command has ended."""
    if timeout is not None and not follow:
        raise click.UsageError("--timeout needs --follow")
    site = connection()
    run = submit_workflow(
        name,
        parse_params(texts),
        slots=[place_of(slot) for slot in slots] or None,
        min_survivors=min_survivors,
        max_failures=max_failures,
        priority=cast(Priority, priority),
        connection=site,
    )
    if follow:
        sys.exit(_follow(run, as_json=as_json, timeout_s=timeout))
    if as_json:
        echo_json(run.status().to_dict())
        return
    tell(f"workflow {run.status().name} {run.id} is queued")
    tell(f"`smurfq workflow show {short(run.id)}` shows its steps, `smurfq watch` the slots")


@workflow.command()
@click.argument("run_id", metavar="ID")
@json_option
def show(run_id: str, as_json: bool) -> None:
    """Show the progress of a workflow: its steps, and the outcome on each slot.

    \b
    Examples:
      smurfq workflow show 3f2a91c0
    """
    status = _run(run_id).status()
    if as_json:
        echo_json(status.to_dict())
        return
    record = status.record
    console = terminal()
    console.print(
        Text.assemble((clean(status.name), "bold"), f" {record.session_id}  ", _state(status))
        + Text(f"  {_took(record.start_time, record.end_time)}" if record.start_time else "", "dim")
    )
    if status.hold:
        console.print(Text(f"  {clean(str(status.hold))}", "yellow"))
    _show_steps(status)
    if record.error:
        console.print(Text(clean(f"{record.error.get('type')}: {record.error.get('message')}"), "red"))


@workflow.command()
@click.argument("run_id", metavar="ID")
@timeout_option
@json_option
def follow(run_id: str, timeout: float | None, as_json: bool) -> None:
    """Show a workflow until it ends. The exit code gives its outcome. Ctrl-C ends the view, not the workflow."""
    run = _run(run_id)
    run.status()  # raises if the run is not a workflow
    sys.exit(_follow(run, as_json=as_json, timeout_s=timeout))


@workflow.command()
@click.argument("run_id", metavar="ID")
@by_option
@reason_option
@click.option(
    "--wait", "-w", is_flag=True, help="Return only when the workflow and all runs that it started have ended."
)
@json_option
def abort(*, run_id: str, by: str | None, reason: str, wait: bool, as_json: bool) -> None:
    """Abort a workflow with all its runs.

    Its streams are closed, its other running operations are aborted, and its waiting ones never start.

    \b
    Examples:
      smurfq workflow abort 3f2a91c0 --reason "clouds" --wait
    """
    run = _run(run_id)
    name = run.status().name
    answer = run.abort(by, reason)
    record = run.wait() if wait else run.header()
    if as_json:
        echo_json({"session_id": run.id, "answer": answer, "status": record.status, "outcome": record.outcome})
        return
    said = {"removed": "had not started; it was removed from its queue", "over": "had already ended"}
    ended = f"; it ended as {record.outcome}" if record.done else ""
    tell(f"{name} {short(run.id)} {said.get(answer, 'asked to abort')}{ended}")


@workflow.command()
@click.argument("run_id", metavar="ID")
@click.option("--note", "-m", metavar="TEXT", default="", help="The reason, which `smurfq workflow show` displays.")
@click.option(
    "--for", "for_s", type=TimeSpan(), help="Release the hold after this time, for example 30min. [default: never]"
)
@owner_option
@force_option
@json_option
def hold(*, run_id: str, note: str, for_s: float | None, owner: str | None, force: bool, as_json: bool) -> None:
    """Hold a workflow before its next step. Running operations continue."""
    run = _run(run_id)
    name = run.status().name
    put = run.hold(owner, note, for_s, force=force)
    if as_json:
        echo_json({"session_id": run.id, "owner": put.owner, "note": put.note, "since": put.since, "until": put.until})
    else:
        tell(f"{name} {short(run.id)} is held before its next step by {put.owner}{put.until_words()}")


@workflow.command()
@click.argument("run_id", metavar="ID")
@owner_option
@force_option
@json_option
def release(run_id: str, owner: str | None, force: bool, as_json: bool) -> None:
    """Release a held workflow. It then continues."""
    run = _run(run_id)
    name = run.status().name
    released = run.release(owner, force=force)
    if as_json:
        echo_json({"session_id": run.id, "released": released})
    else:
        tell(f"{name} {short(run.id)} {'continues' if released else 'was not held'}")


def _run(given: str) -> WorkflowRun:
    site = connection()
    with site.reached():
        return WorkflowRun(site.records.index.find(given), connection=site)


def _described(one: Definition) -> dict[str, object]:
    return {"name": one.name, "summary": one.summary, "parameters": [each.to_dict() for each in one.parameters]}


def _state(status: WorkflowStatus) -> Text:
    return Text(status.state, OUTCOME_STYLE.get(status.state, "cyan"))


def _took(start: float | None, end: float | None) -> str:
    return "-" if start is None else duration((end or time.time()) - start)


def _follow(run: WorkflowRun, *, as_json: bool, timeout_s: float | None) -> ExitCode:
    """Show a run until it has ended, and then its steps. Return the exit code."""
    code = follow_to_end(run, as_json=as_json, data=False, timeout_s=timeout_s)
    if not as_json and code != ExitCode.INTERRUPTED:
        _show_steps(run.status())
    return code


def _show_steps(status: WorkflowStatus) -> None:
    for slot, why in status.dropped.items():
        terminal().print(Text(f"  {connection().slot_names.both(slot)} dropped: {clean(why)}", "red"))
    for step in status.steps:
        _show_step(step)


def _show_step(step: StepStatus) -> None:
    console = terminal()
    console.print(
        Text.assemble(
            f"{step.number:>3} ", (clean(step.name), "bold"), f"  {step.state}  {_took(step.started, step.ended)}"
        )
    )
    for slot in sorted({*step.ids, *step.slots}):
        report = step.slots.get(slot)
        outcome = str(report.outcome) if report else step.undecided.get(slot, "waiting")
        took = duration(report.took_s) if report and report.took_s is not None else ""
        line = Text(f"      {connection().slot_names.both(slot):<23} ")
        line.append(f"{outcome:<10}", OUTCOME_STYLE.get(outcome, ""))
        line.append(f" {took:<12} {short(step.ids.get(slot) or '-')}", "dim")
        if report and report.dropped:
            line.append("  dropped", "bold red")
        if report and report.reason:
            line.append(f"  {' '.join(clean(report.reason).split())}", "dim")
        console.print(line)


COMMANDS = [workflow]
