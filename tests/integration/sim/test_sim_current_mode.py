"""High-current mode on the simulated slot: no bias is multiplied by the ratio of the current modes by accident."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from smurfq.core.session import SessionRecord
from tests.site.eventually import eventually
from tests.site.simulated import LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

SLOT = SLOTS[0]
OPENS = f"""
import os, subprocess, sys, time
from sodetlib.det_config import DetConfig

config = DetConfig()
config.load_config_files(slot={SLOT[-1]})
S = config.get_smurf_control()
"""
HIGH = "S.set_tes_bias_bipolar(0, 2.0)\nS.set_tes_bias_high_current([0, 1, 2])\n"
DIES = "os.kill(os.getpid(), 9)\n"
BY_A_CHILD = f"import os, subprocess, sys\nsubprocess.run([sys.executable, '-c', {OPENS + HIGH!r}], check=True)\n"
CRYOCARD = "SpiCryo:read"


@pytest.fixture
def site(sim_site: SimSite) -> Iterator[SimSite]:
    """The simulated site; its card is in low-current mode and without bias before and after a test."""
    sim_site.succeeded("set_biases", SLOT, bias=0.0)
    yield sim_site
    sim_site.fault(SLOT)
    sim_site.succeeded("set_biases", SLOT, bias=0.0)
    assert sim_site.slot(SLOT).status().left_on is None


def script(site: SimSite, name: str, text: str) -> SessionRecord:
    """The record of a script that has ended."""
    return site.slot(SLOT).submit("run", script=site.script(f"{name}.py", text)).wait(LONG_S)


def relays(site: SimSite) -> int:
    """The relays of the bias groups, as the cryocard was last told."""
    record = script(site, "relays", OPENS + "print('relays', S.get_cryo_card_relays() & 0xFFFF)\n")
    return int(record.log.split("relays ")[-1].split()[0])


def messages(record: SessionRecord) -> str:
    """The messages of a record."""
    return "\n".join(text for _, text in record.messages)


@pytest.mark.parametrize("text", [OPENS + HIGH + DIES, BY_A_CHILD + DIES], ids=["itself", "by a child"])
def test_a_script_that_is_killed_in_high_current_mode_leaves_low_current_mode(site: SimSite, text: str) -> None:
    record = script(site, "dies", text)
    after = record.data["make_safe"]
    assert after["text"] == "turned off: biases of groups 0 (2 V), high-current mode of bias groups 0-2"
    assert after["safe"] is True
    assert relays(site) == 0


def test_an_aborted_script_leaves_only_the_high_current_mode_that_it_found_in_use(site: SimSite) -> None:
    assert script(site, "before", OPENS + HIGH).outcome == "succeeded"
    waits = OPENS + "S.set_tes_bias_high_current([5])\nprint('waits')\nwhile True:\n    time.sleep(0.1)\n"
    run = site.slot(SLOT).submit("run", script=site.script("waits.py", waits))
    eventually(lambda: "waits" in run.record().log, LONG_S)
    run.abort("tester", "enough", grace_s=0.2)
    record = run.wait(LONG_S)
    text = record.data["make_safe"]["text"]
    assert text == (
        "turned off: high-current mode of bias groups 1-2, 5; in high-current mode since before this run: bias groups 0"
    )
    assert relays(site) == 0b1, "groups 1 and 2 had no bias"


def test_set_biases_leaves_the_high_current_mode_of_an_earlier_script(site: SimSite) -> None:
    record = script(site, "leaves", OPENS + HIGH)
    assert "left on: biases of groups 0 (2 V), high-current mode of bias groups 0-2" in messages(record)
    record = site.succeeded("set_biases", SLOT, bias=5.0, bgs=[0])
    assert "bias groups 0-2 were in high-current mode, in which a voltage drives 6.08 times" in messages(record)
    assert relays(site) == 0
    assert record.data["biases"][0] == pytest.approx(5.0, abs=1e-3)


def test_the_record_names_the_groups_if_the_cryocard_does_not_answer(site: SimSite) -> None:
    waits = OPENS + HIGH + "print('waits')\nwhile True:\n    time.sleep(0.1)\n"
    run = site.slot(SLOT).submit("run", script=site.script("silent.py", waits))
    eventually(lambda: "waits" in run.record().log, LONG_S)
    site.fault(SLOT, dead_registers=[CRYOCARD])
    run.abort("tester", "enough", grace_s=0)
    record = run.wait(LONG_S)
    after = record.data["make_safe"]
    assert after["safe"] is False
    assert after["unknown"] == ["relays"]
    assert after["left_on"] == "high-current mode of bias groups 0-11 (does not answer)"
    refused = site.run("set_biases", SLOT, bias=5.0)
    assert refused.outcome == "failed"
    assert refused.error is not None
    assert "may be in high-current mode" in refused.error["message"]
    assert site.read(SLOT)["biases"] == pytest.approx([0.0] * 12, abs=1e-3)
    site.fault(SLOT)
    record = site.succeeded("set_biases", SLOT, bias=1.0)
    assert "turned off: high-current mode of bias groups 0-2" in messages(record)
    assert relays(site) == 0
