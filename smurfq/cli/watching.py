"""Commands that follow a run and read its output."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from smurfq.cli.exit_codes import ExitCode
from smurfq.cli.options import echo_json, json_option, run_of, timeout_option
from smurfq.cli.terminal_text import clean, tell
from smurfq.cli.view import follow_to_end
from smurfq.client import LogUpdate, Run
from smurfq.client.waiting import short


@click.command()
@click.argument("run_id", metavar="ID")
@click.option("--output", "-o", is_flag=True, help="Also show the operation's stdout and stderr.")
@timeout_option
@json_option
def follow(run_id: str, output: bool, timeout: float | None, as_json: bool) -> None:
    """Show a run from its start until it ends. The exit code gives its outcome.

    Ctrl-C ends the view, not the run. With --json, each update is a line of JSON with the `kind` queue, status,
    message, data, stage, log, file, store or done; `done` contains the whole record.

    \b
    Examples:
      smurfq follow 3f2a91c0
      smurfq follow 3f2a91c0 --json | jq -r 'select(.kind == "message").text'
    """
    sys.exit(follow_to_end(run_of(run_id), as_json=as_json, output=output, timeout_s=timeout))


@click.command()
@click.argument("run_id", metavar="ID")
@click.option(
    "--follow", "-f", "follow_on", is_flag=True, help="Continue with new output as it arrives, until the run ends."
)
@json_option
def logs(run_id: str, follow_on: bool, as_json: bool) -> None:
    """Write the output of a run: its stdout and stderr.

    If the log file is on this machine, the whole log is written. Otherwise, the last part, which the record keeps, is
    written, with a note on stderr.

    \b
    Examples:
      smurfq logs 3f2a91c0 | less
      smurfq logs 3f2a91c0 --follow
    """
    run = run_of(run_id)
    if follow_on:
        sys.exit(_follow_log(run, as_json=as_json))
    record = run.record()
    file = Path(record.log_file) if record.log_file else None
    here = file is not None and os.path.isfile(file) and os.access(file, os.R_OK)  # noqa: PTH113 - Path's may raise
    if as_json:
        text = file.read_text(errors="replace") if here and file else record.log
        echo_json({"session_id": run.id, "log_file": record.log_file, "whole": here, "log": text})
    elif here and file:
        with file.open(errors="replace") as source:
            for line in source:  # a file or a pipe receives it unchanged
                sys.stdout.write(clean(line) if sys.stdout.isatty() else line)
    else:
        tell(record.log, nl=False)
        where = f"the whole log is in {file}, which cannot be read here" if file else "there is no log file"
        tell(f"smurfq: this is only the last part of the log, from the record; {where}", err=True)


def _follow_log(run: Run, *, as_json: bool) -> ExitCode:
    try:
        for update in run.follow():
            if isinstance(update, LogUpdate):
                if as_json:
                    echo_json(update.to_dict())
                else:
                    tell(update.text, nl=False)
    except KeyboardInterrupt:
        tell(f"\nNo longer following; {short(run.id)} continues.", err=True)
        return ExitCode.INTERRUPTED
    return ExitCode.SUCCEEDED


COMMANDS = [follow, logs]
