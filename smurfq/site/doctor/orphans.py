"""Checks that orphans can be found on this host: starts one that hides, and searches for it."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator

from smurfq.host.lock import lock_path
from smurfq.host.operation_mark import CANNOT_MARK, can_mark, mark_of
from smurfq.host.orphans import end_orphans_of_card
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn

_NAME = "orphans"
_STARTED_WITHIN_S = 10.0
# It forks twice, leaves its session, closes its files and clears its environment. It always exits by itself.
_HIDE = """
import os, resource, sys
mark = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_RTTIME, (mark, mark))
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
os.closerange(0, 256)
os.execve(sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(30)"], {})
"""


def check(examined: Examined) -> Iterator[Finding]:
    """Check that a hidden process is found and ended, in the same way as before an operation."""
    if not can_mark():
        yield warn(_NAME, CANNOT_MARK, "remove LimitRTTIME= from the worker's unit, or rttime from its ulimits")
        return
    lock = lock_path(examined.settings.state_dir, f"doctor-{uuid.uuid4()}")  # not a card's; the file is never made
    command = [sys.executable, "-S", "-c", _HIDE, str(mark_of(lock, _NAME))]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_STARTED_WITHIN_S)
    except (subprocess.SubprocessError, OSError) as cause:
        yield warn(_NAME, f"the process for this check could not be started: {cause}", "check the limits of this user")
        return
    found = end_orphans_of_card(lock)
    if found.ended and not found.remaining:
        yield ok(_NAME, "a trial process that hides from its operation is found and ended")
    else:
        yield fail(
            _NAME,
            "a trial process that hides is not found: a killed worker's orphans would continue to drive cards",
            "let this user see its own processes in /proc; run workers under systemd or in containers (deploy/)",
        )
