"""The command that diagnoses a site."""

from __future__ import annotations

import os
from dataclasses import asdict

import click

from smurfq.cli.exit_codes import ExitCode
from smurfq.cli.options import echo_json, json_option
from smurfq.cli.terminal_text import tell
from smurfq.site.doctor import examine
from smurfq.site.doctor.finding import Finding

_STYLE = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """Check the installation, and say how to fix problems.

    The checks cover settings, Redis, bridge, publisher, workers, files and Channel Access.

    The checks run on this machine, with this environment, and change nothing. The exit code is 1 if a check failed.
    """
    findings = []
    for finding in examine(os.environ):
        findings.append(finding)
        if not as_json:
            _show(finding)
    failed = [finding for finding in findings if finding.level == "fail"]
    warned = [finding for finding in findings if finding.level == "warn"]
    if as_json:
        echo_json({"ok": not failed, "findings": [asdict(finding) for finding in findings]})
    else:
        tell(f"{len(findings)} checks: {len(failed)} failed, {len(warned)} warnings")
    if failed:
        raise click.exceptions.Exit(ExitCode.ERROR)


def _show(finding: Finding) -> None:
    level = click.style(f"{finding.level:<4}", fg=_STYLE[finding.level], bold=True)
    tell(f"{level} {finding.name}: {finding.found}")
    if finding.todo:
        tell(f"     -> {finding.todo}")


COMMANDS: list[click.Command] = [doctor]
