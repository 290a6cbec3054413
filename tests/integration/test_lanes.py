"""The parent of a worker's lanes passes each signal on to every lane."""

from __future__ import annotations

import subprocess
import sys

from tests.site.process_group import ROOT, STOP_WITHIN_S

TOLD_AS_IT_STARTS_A_LANE = """
import signal, sys
from smurfq.worker.lanes import Lanes

block = signal.pthread_sigmask

def told_before(how, numbers):
    if how == signal.SIG_BLOCK:
        signal.raise_signal(signal.SIGTERM)
    return block(how, numbers)

def serve(slot, lane, told_to_stop):
    while not told_to_stop:
        signal.pause()
    return 0

signal.pthread_sigmask = told_before
sys.exit(Lanes([("crate1slot1", "control"), ("crate1slot1", "state")], serve).run())
"""


def test_a_worker_that_is_stopped_as_it_starts_a_lane_ends() -> None:
    """It starts no lane that nobody would tell to stop."""
    subprocess.run([sys.executable, "-c", TOLD_AS_IT_STARTS_A_LANE], cwd=ROOT, timeout=STOP_WITHIN_S, check=True)
