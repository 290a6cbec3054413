"""Checks the clock of this machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

from smurfq.site.doctor.finding import Examined, Finding, ok, warn

_ANSWERS_WITHIN_S = 3.0


def check(_examined: Examined) -> Iterator[Finding]:
    """Check that a time service sets the clock. If this cannot be found out, there is no finding."""
    program = shutil.which("timedatectl")
    if program is None:
        return
    try:
        answer = subprocess.run(
            [program, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
            check=True,
        ).stdout.strip()
    except (subprocess.SubprocessError, OSError):
        return
    if answer == "yes":
        yield ok("time service", "the clock is synchronized")
    elif answer == "no":
        yield warn("time service", "the clock is not synchronized: times in records may drift", "start NTP or PTP")
