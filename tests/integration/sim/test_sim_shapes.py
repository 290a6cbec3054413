"""Simulated slots of the shapes that real sites have: what works, and what is named before the card is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from smurfq.core.session import SessionRecord
from tests.site.commands import evaluate
from tests.site.eventually import eventually
from tests.site.process_group import ROOT
from tests.site.radio import QUICK_BGMAP, QUICK_IV
from tests.site.shapes import write_shape
from tests.site.simulated import DACS, LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

SLOT = SLOTS[0]
OPENS = f"""
import os, time
from sodetlib.det_config import DetConfig

config = DetConfig()
config.load_config_files(slot={SLOT[-1]})
S = config.get_smurf_control()
"""
AMPLIFIERS = slice(25, 32)  # DACs 26 to 32 of a C04 card


def made(folder: Path, firmware: str, **shape: Any) -> SimSite:
    """A site whose cards have this shape, with a worker of a slot."""
    folder.mkdir()
    configuration = str(write_shape(folder / "pysmurf.cfg", **shape))
    variables = {"SMURFQ_SIM_PYSMURF_CONFIG": configuration, "SMURFQ_SIM_CRYOCARD_FIRMWARE": firmware}
    site = SimSite(folder / "site", **variables)
    site.start_worker(SLOT)
    return site


@pytest.fixture(scope="module")
def one_bay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimSite]:
    """Cards with one bay, fifteen bias groups, a ratio of 12.5, and a C02 cryocard."""
    with made(tmp_path_factory.mktemp("one") / "bay", "1.2.3", groups=15, bands=4, ratio=12.5) as site:
        yield site


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimSite]:
    """Cards with fifteen bias groups in their configuration, and a cryocard later than C04."""
    with made(tmp_path_factory.mktemp("later") / "card", "5.0.1", groups=15, ratio=5.669) as site:
        yield site


def dacs(site: SimSite) -> list[int]:
    """The counts of the 32 DACs."""
    code = f"import epics\nresult = epics.caget('smurf_server_s{SLOT[-1]}:{DACS}', timeout=60).tolist()"
    found: list[int] = evaluate({**site.environ, "PYTHONPATH": str(ROOT), "PATH": ""}, code)
    return found


def messages(record: SessionRecord) -> str:
    """The messages of a record."""
    return "\n".join(text for _, text in record.messages)


def message_of(record: SessionRecord) -> str:
    """The error's message of a run that failed."""
    assert record.outcome == "failed"
    assert record.error is not None
    return str(record.error["message"])


def test_all_bias_groups_of_a_slot_are_set_and_zeroed(one_bay: SimSite) -> None:
    assert one_bay.succeeded("set_biases", SLOT, bias=2.0).data["biases"] == pytest.approx([2.0] * 15, abs=1e-3)
    assert dacs(one_bay)[24:30] == pytest.approx([52429, -52429] * 3, abs=2)
    one_bay.succeeded("zero_biases", SLOT, bgs=[13])
    assert dacs(one_bay)[24:30] == pytest.approx([52429, -52429, 0, 0, 52429, -52429], abs=2)
    one_bay.succeeded("zero_biases", SLOT)
    assert dacs(one_bay)[:30] == [0] * 30


def test_bias_groups_and_bands_that_the_slot_lacks_are_named(one_bay: SimSite) -> None:
    record = one_bay.run("zero_biases", SLOT, bgs=[15])
    assert f"{SLOT} has no bias group 15; it has 0-14" in message_of(record)
    record = one_bay.run("set_biases", SLOT, bias=[1.0] * 12)
    assert f"one for each of the 15 bias groups of {SLOT}; got 12 numbers" in message_of(record)
    record = one_bay.run("uxm_setup", SLOT, bands=[3, 5])
    assert f"{SLOT} has no band 5; it has 0, 1, 2, 3" in message_of(record)


def test_a_card_with_one_bay_is_read_measured_and_made_safe(one_bay: SimSite) -> None:
    assert one_bay.succeeded("check_state", SLOT, once=True).data["num_active_channels"] > 200
    assert sum(one_bay.succeeded("take_bgmap", SLOT, kwargs=QUICK_BGMAP).data["nchans_per_bg"][:12]) > 150
    one_bay.succeeded("take_iv", SLOT, kwargs=QUICK_IV)
    record = one_bay.succeeded("bias_dets", SLOT)
    assert "in which a voltage drives 12.5 times the current; they were put into low-current mode" in messages(record)
    script = one_bay.script("dies.py", OPENS + "S.set_tes_bias_bipolar(14, 2.0)\nos.kill(os.getpid(), 9)\n")
    record = one_bay.run("run", SLOT, script=script)
    assert record.data["make_safe"]["safe"] is True
    assert dacs(one_bay)[:30] == [0] * 30


def test_a_script_registers_the_file_of_pysmurfs_own_stream(one_bay: SimSite) -> None:
    """This needs a numpy below 2.3."""
    streams = "name = S.stream_data_on(make_freq_mask=False)\nS.stream_data_off(register_file=True)\nprint(name)\n"
    record = one_bay.run("run", SLOT, script=one_bay.script("registers.py", OPENS + streams))
    assert record.outcome == "succeeded", (record.error, record.log[-2000:])
    name = record.log.strip().splitlines()[-1]
    assert name.endswith(".dat")
    assert [file["path"] for file in record.files if ".dat" in file["path"]] == [name]


def test_dangerous_gates_are_named_before_one_moves(one_bay: SimSite) -> None:
    device = one_bay.options.folders.config / f"device_{SLOT}.yml"
    before = device.read_text()
    table = yaml.safe_load(before)
    table["experiment"] |= {"amp_hemt_gate_volt": None, "amp_hemt_init_gate_volt": -1.4, "amp_enable_wait_time": 60}
    device.write_text(yaml.safe_dump(table))
    try:
        run = one_bay.slot(SLOT).submit("uxm_setup", bands=[0])
        eventually(lambda: "amp_hemt_init_gate_volt is -1.4 V" in messages(run.record()), LONG_S)
        run.abort("tester", "enough", grace_s=0)
        assert run.wait(LONG_S).outcome == "aborted"
    finally:
        device.write_text(before)


def test_a_relock_biases_the_two_amplifiers_of_a_c02_card(one_bay: SimSite) -> None:
    """sodetlib 0.6.8 alone fails: it asks for their drain voltages, which cannot be set."""
    record = one_bay.succeeded("uxm_relock", SLOT, within_s=800, bands=[0])
    assert record.data["good_det_num"][0] > 40
    device = yaml.safe_load((one_bay.options.folders.config / f"device_{SLOT}.yml").read_text())
    assert device["experiment"]["amp_hemt_drain_volt"] is None
    assert device["experiment"]["amp_50k_gate_volt"] == pytest.approx(-0.45, abs=0.05)


def test_a_device_configuration_of_an_older_sodetlib_works_and_keeps_its_values(one_bay: SimSite) -> None:
    device = one_bay.options.folders.config / f"device_{SLOT}.yml"
    before = device.read_text()
    table = yaml.safe_load(before)
    four = {"drive": [12.0] * 4, "lms_freq_hz": [19999.98] * 4, "nperseg": ["2**16"] * 4, "uc_att": [12.0] * 4}
    old = {
        "experiment": {**table["experiment"], "amp_50k_Id": 12, "amp_hemt_Vg": -1.1, "nphi0": 5.0},
        "bias_groups": {"bias_high": [11, *[10] * 11], "enabled": [1] * 12},
        "bands": {"AMC[0]": four, "Band[5]": {"meas_lms_freq": True}},
    }
    device.write_text("# edited by hand\n" + yaml.safe_dump(old))
    try:
        one_bay.succeeded("take_bgmap", SLOT, kwargs=QUICK_BGMAP)
        kept = yaml.safe_load(device.read_text())
        assert kept["bands"]["AMC[0]"]["nperseg"] == ["2**16"] * 4
        assert kept["bands"]["AMC[1]"]["nperseg"] == [None] * 4
        assert kept["bands"]["AMC[1]"]["meas_lms_freq"] == [None, True, None, None]
        assert kept["experiment"]["amp_50k_Id"] == 12
        assert kept["experiment"]["active_bands"] == [0, 1, 2, 3]
        one_bay.succeeded("take_noise", SLOT, duration=8.0)
    finally:
        device.write_text(before)


def test_groups_that_share_dacs_with_amplifiers_are_left_alone_and_named(later: SimSite) -> None:
    before = dacs(later)[AMPLIFIERS]
    assert any(before)
    record = later.succeeded("set_biases", SLOT, bias=1.0)
    assert len(record.data["biases"]) == 12
    assert f"bias groups 12-14 of {SLOT} are not used and not zeroed" in messages(record)
    assert f"{SLOT} has no bias group 13; it has 0-11" in message_of(later.run("zero_biases", SLOT, bgs=[13]))
    script = later.script("dies.py", OPENS + "os.kill(os.getpid(), 9)\n")
    record = later.run("run", SLOT, script=script)
    assert "not set, because their DACs drive amplifiers, or may: bias groups 12-14" in messages(record)
    later.succeeded("all_off", SLOT, disable_amps=False)
    assert dacs(later)[:24] == [0] * 24
    assert dacs(later)[AMPLIFIERS] == before


def test_a_setup_on_a_cryocard_that_pysmurf_does_not_know_is_rejected(later: SimSite) -> None:
    before = dacs(later)[AMPLIFIERS]
    record = later.run("uxm_setup", SLOT, bands=[0])
    assert "has firmware 5.0.1, and pysmurf knows only 1.x and 10.x (C02) and 4.x (C04)" in message_of(record)
    assert dacs(later)[AMPLIFIERS] == before


def test_a_wrong_device_configuration_is_named_and_biases_can_still_be_zeroed(later: SimSite) -> None:
    device = later.options.folders.config / f"device_{SLOT}.yml"
    before = device.read_text()
    table = yaml.safe_load(before)
    table["experiment"] |= {"nphi0": "2**16", "amp_hemt_Vg": -1.1}
    device.write_text(yaml.safe_dump(table))
    try:
        record = later.run("take_noise", SLOT, duration=10.0)
        assert "experiment: nphi0 is the text '2**16', and must be a number" in message_of(record)
        later.succeeded("zero_biases", SLOT)
        device.write_text("experiment: {")
        later.succeeded("check_state", SLOT, once=True)
    finally:
        device.write_text(before)


@pytest.mark.parametrize(
    ("removed", "added", "told"),
    [
        ("stream_id", {}, f"lacks stream_id; add it (stream_id: {SLOT})"),
        ("", {"uxm_file": "/gone/uxm.yml"}, "uxm_file /gone/uxm.yml is missing; copy it there, or remove uxm_file"),
    ],
)
def test_a_system_configuration_with_a_gap_is_named(
    later: SimSite, removed: str, added: dict[str, str], told: str
) -> None:
    system = later.options.folders.config / "sys_config.yml"
    before = system.read_text()
    table = yaml.safe_load(before)
    entry = table["slots"][f"SLOT[{SLOT[-1]}]"]
    entry.pop(removed, None)
    entry |= added
    system.write_text(yaml.safe_dump(table))
    try:
        assert told in message_of(later.run("take_noise", SLOT, duration=10.0))
    finally:
        system.write_text(before)
