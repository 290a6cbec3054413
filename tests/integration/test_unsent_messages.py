"""A message that pysmurf's Publisher cannot send is reported, and does not count as lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smurfq.tasks import run
from tests.site.eventually import READY_WITHIN_S
from tests.site.live import LiveSite

pytest.importorskip("pysmurf")
pytestmark = pytest.mark.slot
SLOT = "crate1slot3"

SCRIPT = """
import datetime, multiprocessing, pathlib, sys
import numpy as np
from pysmurf.client.util.pub import Publisher

publisher = Publisher("a script")
unsendable = [np.int64(3), {1, 2}, b"bytes", datetime.datetime(2026, 1, 1), pathlib.Path("/data")] * 4

def try_all(publisher):
    for number, value in enumerate(unsendable):
        try:
            publisher.publish({"n": value}, "session_data")
        except TypeError:
            publisher.publish(f"after {number}", "session_log")

def in_a_fork():
    try_all(Publisher("a fork"))

try_all(publisher)
child = multiprocessing.get_context("fork").Process(target=in_a_fork)
child.start()
child.join()
publisher.publish("x" * 70_000, "session_log")
publisher.publish("last", "session_log")
"""


@pytest.fixture
def script(site: LiveSite) -> Iterator[str]:
    """A script, and a worker that has loaded pysmurf."""
    worker = site.start_worker(SLOT, SMURFQ_WORKER_PRELOAD="true")
    try:
        yield site.script("unsendable.py", SCRIPT)
    finally:
        site.stop(worker)


def test_a_message_that_was_never_sent_is_reported_and_not_lost(script: str) -> None:
    record = run.delay(slot=SLOT, script=script).get(timeout=READY_WITHIN_S)
    texts = [text for _, text in record["messages"]]
    assert [text for text in texts if text.startswith("after ")] == [f"after {number}" for number in range(20)] * 2
    assert "last" in texts
    assert (record["lost"], record["complete"]) == (0, True)
    assert [text for text in texts if "not sent" in text] == [
        "a message was not sent: TypeError: Object of type int64 is not JSON serializable; "
        "pass only numbers, strings, lists and dicts to publish()",
        "10 messages were not sent: TypeError: Object of type PosixPath is not JSON serializable; "
        "pass only numbers, strings, lists and dicts to publish()",
    ]
    assert any("dropped large UDP packet" in text for text in texts)
    assert "a message was not sent" in record["log"], "a fork tells it in the log"
