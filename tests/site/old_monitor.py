"""The rows that socs's PysmurfMonitor would have written for the messages that a host's publishers sent."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.logger import Logger

from tests.site import capture


def register(captured: str, database: str) -> int:
    """Let the monitor's own code register the files of captured messages, on the host of the files; their number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from socs.agents.pysmurf_monitor.agent import PysmurfMonitor

    agent: Any = SimpleNamespace(log=Logger(), register_feed=lambda _name: None)
    monitor = PysmurfMonitor(agent, SimpleNamespace(db_path=database, echo_sql=False))
    messages = capture.files(Path(captured))
    for message in messages:
        monitor.datagramReceived(json.dumps(message).encode(), ("127.0.0.1", 0))
    monitor.run(SimpleNamespace(degraded=False), {"test_mode": True})
    return len(messages)
