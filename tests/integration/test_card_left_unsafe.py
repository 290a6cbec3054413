"""A slot whose card does not answer, after a run that died there: later runs, and what they may do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import chain, chord, group

from smurfq.app import app
from smurfq.core.card_after import LeftOn
from smurfq.core.session import SessionRecord
from smurfq.operation_process.session import CARD_AT_START
from smurfq.pool_child.aftercare import Aftercare
from smurfq.pool_child.card_before import make_safe_first
from smurfq.pool_child.job import Job
from smurfq.smurf_control.card_state import CardState
from smurfq.store.left_on import LeftOnNotes
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.site.eventually import WITHIN_S
from tests.site.live import LiveSite

SLOT = "crate1slot1"
OFF = CardState(0, 0, 0, 0, [0] * 32, 0).to_dict()
READS = "import epics; print('read', epics.caget('smurf_server_s1:AMCc:enable', timeout=1))\n"
OPENS = {
    "itself": READS,
    "by a fork": f"import os\npid = os.fork()\nif not pid:\n    {READS}\n"
    "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n",
    "by a child": f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {READS!r}], check=True)\n",
}


def note() -> LeftOn | None:
    """The note of what was left on on the slot."""
    return LeftOnNotes(app.store).of([SLOT]).get(SLOT)


def messages(record: SessionRecord) -> str:
    """The messages of a record."""
    return "\n".join(text for _, text in record.messages)


def ended(task: Any) -> SessionRecord:
    """The record of a run, once it has ended."""
    task.get(timeout=WITHIN_S, propagate=False)
    return app.records.read(task.id)


@pytest.fixture(scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site of its own, whose cards do not answer."""
    with LiveSite(tmp_path_factory.mktemp("silent") / "site", SMURFQ_WORKER_PRELOAD="true") as live:
        live.start_bridge()
        live.start_worker(SLOT)
        yield live


@pytest.fixture
def unsafe(site: LiveSite) -> LeftOn:
    """The note that a run that died left: its card does not answer."""
    left = LeftOn("streaming (does not answer)", "1a2b3c4d", "stream", 1.0, OFF, is_unsafe=True)
    LeftOnNotes(app.store).write(SLOT, left)
    return left


def test_a_run_that_dies_leaves_a_note_if_its_card_does_not_answer(site: LiveSite) -> None:
    died = run.delay(slot=SLOT, script=site.script("dies.py", "import os\nos.kill(os.getpid(), 9)\n"))
    assert ended(died).outcome == "failed"
    left = note()
    assert left is not None
    assert left.is_unsafe
    assert left.text.startswith("streaming (does not answer)")
    assert left.expected == OFF


def test_runs_that_use_no_card_do_not_wait_for_it(unsafe: LeftOn) -> None:
    last = chain(trial.s(slot=SLOT), trial.s(slot=SLOT)).apply_async()
    both = group(trial.s(slot=SLOT), trial.s(slot=SLOT)).apply_async()
    joined = chord([trial.s(slot=SLOT)], trial.s(slot=SLOT)).apply_async()
    for task in (last, last.parent, *both.results, joined, *joined.parent.results):
        record = ended(task)
        assert record.outcome == "succeeded"
        assert "the card" not in messages(record)
    assert note() == unsafe


def test_a_script_that_opens_no_card_runs(site: LiveSite, unsafe: LeftOn) -> None:
    record = ended(run.delay(slot=SLOT, script=site.script("opens_none.py", "print('done')\n")))
    assert record.outcome == "succeeded"
    assert "does not answer, may be on: streaming" in messages(record)
    assert note() == unsafe


@pytest.mark.slot
@pytest.mark.parametrize("way", OPENS)
def test_a_script_cannot_open_a_card_that_was_not_made_safe(site: LiveSite, unsafe: LeftOn, way: str) -> None:
    record = ended(run.delay(slot=SLOT, script=site.script("opens.py", OPENS[way])))
    assert record.outcome == "failed"
    assert f"the card of {SLOT} does not answer, and was not made safe after an earlier run" in record.log
    assert "read" not in record.log.splitlines()
    assert "make_safe" not in record.data
    assert note() == unsafe


def test_what_must_be_off_stays_noted_until_it_is_off(unsafe: LeftOn) -> None:
    """Also where a later run, on a card that answers in part, leaves something on by its own will."""
    found = {"text": "left on: biases", "left_on": "biases", "expected": {"streaming": 0}, "after": {}}
    for succeeded in (True, False):
        aftercare = Aftercare("run", "later", lambda event: None, lambda params: found)
        aftercare.add({"k": CARD_AT_START, "t": 0.0, "state": {"streaming": 0}})
        aftercare.run(died=False, succeeded=succeeded, stage=None)
        aftercare.note(SLOT, app.store)
        left = note()
        assert left is not None
        assert (left.session_id, left.text) == ("later", "biases")
        assert left.is_unsafe
        assert left.expected == unsafe.expected


def test_a_card_is_noted_unsafe_if_it_does_not_answer_after_a_worker_died(site: LiveSite) -> None:
    app.fence.mark_needs_make_safe(SLOT, "the worker of stream died")
    record = ended(trial.delay(slot=SLOT))
    assert record.outcome == "succeeded"
    assert "the card was left unsafe: the worker of stream died; the card: does not answer" in messages(record)
    left = note()
    assert left is not None
    assert left.is_unsafe
    assert left.expected == OFF
    assert str(left).startswith("left on by an earlier run: streaming (does not answer)")


def test_a_card_that_comes_back_while_it_is_made_safe_is_made_safe_once_more(unsafe: LeftOn) -> None:
    found: list[dict[str, Any]] = [
        {
            "text": "in part",
            "left_on": "streaming (does not answer)",
            "unknown": ["streaming"],
            "after": {"playback": 0},
        },
        {"text": "turned off: streaming", "left_on": "", "unknown": [], "after": {"streaming": 0, "playback": 0}},
    ]
    nothing: Any = None
    job = Job("later", "set_biases", SLOT, SLOT, {}, {}, nothing, nothing)
    answer = make_safe_first(job, None, app.store, lambda params: found.pop(0))
    assert answer == (job, f"{unsafe}; the card: in part; tried again: turned off: streaming")
    assert note() is None


def test_a_run_may_not_open_a_card_for_which_make_safe_failed(unsafe: LeftOn) -> None:
    """The reason is not that the card does not answer."""
    nothing: Any = None
    job = Job("later", "set_biases", SLOT, SLOT, {}, {}, nothing, nothing)
    found = {"error": "no memory", "text": "unknown, because make_safe failed: no memory"}
    closed, text = make_safe_first(job, None, app.store, lambda params: found)
    assert text == f"{unsafe}; the card: {found['text']}"
    assert "because make_safe failed: no memory; so this run may not open it" in closed.card_closed
    assert note() == unsafe
