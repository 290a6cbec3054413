"""Processes of an operation that the worker's user may not end, such as those of ``sudo``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

CODE = """
import os, subprocess
from smurfq.host import processes
subprocess.Popen(["sleep", "60"])
leader = os.fork()
if leader == 0:
    os.setsid()
    os._exit(0)
os.setresuid(65534, 65534, 65534)
print("killed", processes.kill_group(leader))
"""


@pytest.mark.may_skip("only root can start a process of another user")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_a_process_that_cannot_be_ended_does_not_keep_the_worker_from_its_work() -> None:
    """The next operation is refused while it lives: see ``OperationTask._end_orphans``."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "killed []\n"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)
