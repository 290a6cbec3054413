"""Running `smurfq` and pieces of Python to their end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.site.eventually import READY_WITHIN_S
from tests.site.process_group import ROOT


def smurfq(
    environ: Mapping[str, str],
    *arguments: str,
    cwd: Path = ROOT,
    within_s: float = READY_WITHIN_S,
    within: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """A ``smurfq`` command that has ended; ``within`` is the command that starts it on another host."""
    return python(environ, "-m", "smurfq", *arguments, cwd=cwd, within_s=within_s, within=within)


def python(
    environ: Mapping[str, str],
    *arguments: str,
    cwd: Path = ROOT,
    within_s: float = READY_WITHIN_S,
    within: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """A Python process that has ended."""
    return subprocess.run(
        [*within, sys.executable, *arguments],
        env=environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def evaluate(environ: Mapping[str, str], code: str, within: Sequence[str] = ()) -> Any:
    """What ``code`` leaves in ``result``, run in a process of its own."""
    done = python(environ, "-c", f"import json\n{code}\nprint('RESULT' + json.dumps(result))", within=within)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    assert lines, done.stderr
    return json.loads(lines[0].removeprefix("RESULT"))
