from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.site.process_group import environ_without_site

# The handler of SIGTERM runs while the main thread holds the lock of the event: as if a signal came within `wait`.
_HELD = """
import os, signal, sys
from smurfq.host.stop_signals import event_of_stop_signals
stop = event_of_stop_signals()
with stop._cond:
    os.kill(os.getpid(), int(sys.argv[1]))
sys.exit(0 if stop.wait(60) else 1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_even_while_the_main_thread_holds_its_lock(number: signal.Signals) -> None:
    command = [sys.executable, "-c", _HELD, str(int(number))]
    assert subprocess.run(command, env=environ_without_site(), timeout=120, check=False).returncode == 0
