"""A simulated card that is left unsafe because its server stood still: nobody drives it before it was made safe."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from smurfq.core.session import SessionRecord
from tests.site.eventually import eventually
from tests.site.process_group import pause
from tests.site.simulated import DACS, LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

SLOT = SLOTS[0]
REGISTER = f"smurf_server_s{SLOT[-1]}:{DACS}"
PUT = f"import epics; epics.caput({REGISTER!r}, {{counts}}, wait=True)\n"
COUNTS = [100000, -100000] * 12 + [0] * 8
BIAS_V = 3.81
DRIVES = {
    "itself": PUT.format(counts=[5000, -5000] * 12 + [0] * 8),
    "by a child": "import subprocess, sys\nsubprocess.run([sys.executable, '-c', "
    f"{PUT.format(counts=[5000, -5000] * 12 + [0] * 8)!r}], check=True)\n",
}


def is_at(site: SimSite, bias_v: float) -> bool:
    """Whether all biases of the slot are ``bias_v``."""
    return bool(site.read(SLOT)["biases"] == pytest.approx([bias_v] * 12, abs=5e-3))


def messages(record: SessionRecord) -> str:
    """The messages of a record."""
    return "\n".join(text for _, text in record.messages)


@pytest.fixture
def unsafe(sim_site: SimSite) -> Iterator[SimSite]:
    """The site whose card has its biases on, from a run that was killed while the server stood still; it still does."""
    raises = sim_site.script("raises.py", PUT.format(counts=COUNTS) + "while True:\n    pass\n")
    run = sim_site.slot(SLOT).submit("run", script=raises)
    eventually(lambda: is_at(sim_site, BIAS_V), LONG_S, "the biases are on")
    pause(sim_site.simulator.pid)
    try:
        run.abort("tester", "enough", grace_s=0)
        record = run.wait(LONG_S)
        assert record.error is not None
        assert record.error["stage"] == "killed"
        assert record.data["make_safe"]["safe"] is False
        yield sim_site
    finally:
        sim_site.simulator.send_signal(signal.SIGCONT)
    sim_site.succeeded("zero_biases", SLOT)
    assert sim_site.slot(SLOT).status().left_on is None


def test_the_next_run_makes_the_card_safe_before_it_does_anything_else(unsafe: SimSite) -> None:
    unsafe.simulator.send_signal(signal.SIGCONT)
    assert is_at(unsafe, BIAS_V)
    looks = f"import epics; print('found', sum(map(abs, epics.caget({REGISTER!r})[:24])))\n"
    record = unsafe.succeeded("run", SLOT, script=unsafe.script("looks.py", looks))
    assert "found 0" in record.log.splitlines()
    assert f"restored to their values at the start: biases of groups 0-11 ({BIAS_V} V)" in messages(record)
    assert unsafe.slot(SLOT).status().left_on is None


def test_an_operation_fails_while_the_card_does_not_answer_and_works_once_it_does(unsafe: SimSite) -> None:
    record = unsafe.run("set_biases", SLOT, bias=1.0)
    assert record.outcome == "failed"
    assert record.error is not None
    assert f"the card of {SLOT} does not answer, and was not made safe after an earlier run" in record.error["message"]
    assert "make_safe" not in record.data
    left_on = unsafe.slot(SLOT).status().left_on
    assert left_on is not None
    assert left_on.is_unsafe
    unsafe.simulator.send_signal(signal.SIGCONT)
    assert is_at(unsafe, BIAS_V)
    record = unsafe.succeeded("set_biases", SLOT, bias=1.0, bgs=[0])
    assert f"restored to their values at the start: biases of groups 0-11 ({BIAS_V} V)" in messages(record)
    assert unsafe.read(SLOT)["biases"] == pytest.approx([1.0, *[0.0] * 11], abs=5e-3)


@pytest.mark.parametrize("way", DRIVES)
def test_a_script_cannot_drive_a_card_that_comes_back_while_it_runs(unsafe: SimSite, way: str) -> None:
    gate = unsafe.gate(f"drives-{way.replace(' ', '-')}", DRIVES[way])
    run = unsafe.slot(SLOT).submit("run", script=gate.script)
    eventually(lambda: "waits" in run.record().log, LONG_S)
    unsafe.simulator.send_signal(signal.SIGCONT)
    assert is_at(unsafe, BIAS_V)
    gate.open()
    record = run.wait(LONG_S)
    assert record.outcome == "failed"
    assert f"the card of {SLOT} does not answer, and was not made safe after an earlier run" in record.log
    assert is_at(unsafe, BIAS_V), "neither driven nor made safe: the next run does that"
    left_on = unsafe.slot(SLOT).status().left_on
    assert left_on is not None
    assert left_on.is_unsafe


def test_an_operation_works_on_a_server_that_was_started_again(unsafe: SimSite) -> None:
    unsafe.simulator.kill()
    unsafe.simulator.wait()
    assert unsafe.run("set_biases", SLOT, bias=1.0).outcome == "failed"
    unsafe.simulator = unsafe.start_simulator()
    unsafe.succeeded("set_biases", SLOT, bias=1.0)
    assert is_at(unsafe, 1.0)
    assert unsafe.slot(SLOT).status().left_on is None
