"""A run drives only its own slot: opening another slot's card is rejected, however a script tries it."""

from __future__ import annotations

import textwrap

import pytest

from smurfq.core.session import SessionRecord
from smurfq.errors import ParameterError
from tests.integration.records import error_of
from tests.site.live import stream_id
from tests.site.process_group import ROOT
from tests.site.simulated import DACS, LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(600)]

OWN, OTHER = SLOTS[:2]
OTHER_ROOT = f"smurf_server_s{OTHER[-1]}"
PUT = f"import epics; epics.caput('{OTHER_ROOT}:{DACS}', [1000] * 32, wait=True)"
DOORS = {
    "DetConfig": f"""
        from sodetlib.det_config import DetConfig
        config = DetConfig(slot={OTHER[-1]})
        config.load_config_files()
        config.get_smurf_control().set_tes_bias_bipolar(0, 5.0)
    """,
    "load_config_files": f"""
        from sodetlib.det_config import DetConfig
        config = DetConfig()
        config.load_config_files(slot={OTHER[-1]})
        config.get_smurf_control().set_tes_bias_bipolar(0, 5.0)
    """,
    "epics_root of get_smurf_control": f"""
        from sodetlib.det_config import DetConfig
        config = DetConfig()
        config.load_config_files(slot={OWN[-1]})
        config.get_smurf_control(epics_root="{OTHER_ROOT}").set_tes_bias_bipolar(0, 5.0)
    """,
    "SmurfControl": f"""
        from pysmurf.client import SmurfControl
        from sodetlib.det_config import DetConfig
        config = DetConfig()
        config.load_config_files(slot={OWN[-1]})
        SmurfControl(epics_root="{OTHER_ROOT}", cfg_file=config.pysmurf_file).set_tes_bias_bipolar(0, 5.0)
    """,
    "new_epics_root": f"""
        from sodetlib.det_config import DetConfig
        config = DetConfig()
        config.load_config_files(slot={OWN[-1]})
        config.get_smurf_control().set_tes_bias_bipolar(0, 5.0, new_epics_root="{OTHER_ROOT}")
    """,
    "caput": PUT,
    "PV": f"import epics; epics.PV('{OTHER_ROOT}:{DACS}').put([1000] * 32, wait=True)",
    "create_channel": f"""
        from epics.ca import create_channel, put
        put(create_channel('{OTHER_ROOT}:{DACS}', connect=True), [1000] * 32, wait=True)
    """,
}
CHILDREN = {
    "subprocess": f"import subprocess, sys; subprocess.run([sys.executable, '-c', {PUT!r}], check=True)",
    **{
        method: f"""
        import multiprocessing, sys
        def drive():
            {PUT}
        if __name__ == "__main__":
            child = multiprocessing.get_context("{method}").Process(target=drive)
            child.start()
            child.join()
            sys.exit(child.exitcode)
    """
        for method in ("fork", "spawn", "forkserver")
    },
}


def run(site: SimSite, text: str, *args: str) -> SessionRecord:
    """The record of a run of a script on the own slot."""
    path = site.scripts / "drives.py"
    path.write_text(textwrap.dedent(text))
    return site.run("run", OWN, LONG_S, script=str(path), args=list(args))


def assert_other_untouched(site: SimSite) -> None:
    """The other slot's biases are as they were from the start."""
    assert site.read(OTHER)["biases"] == [0.0] * 12


@pytest.mark.parametrize("door", DOORS)
def test_a_script_cannot_open_another_slot(sim_site: SimSite, door: str) -> None:
    record = run(sim_site, DOORS[door])
    assert_other_untouched(sim_site)
    assert record.outcome == "failed"
    assert error_of(record)["type"] == "OtherSlotError"
    assert OWN in error_of(record)["message"]
    assert f"smurfq run … --slot {OTHER}" in error_of(record)["message"]


@pytest.mark.parametrize("method", CHILDREN)
def test_a_scripts_child_cannot_open_another_slot(sim_site: SimSite, method: str) -> None:
    record = run(sim_site, CHILDREN[method])
    assert_other_untouched(sim_site)
    assert record.outcome == "failed"
    assert f"smurfq run … --slot {OTHER}" in record.log


def test_a_refusal_that_a_script_swallows_is_in_its_log(sim_site: SimSite) -> None:
    record = run(sim_site, f"try:\n    {PUT}\nexcept Exception:\n    pass")
    assert_other_untouched(sim_site)
    assert record.outcome == "succeeded"
    assert record.log.count(f"smurfq run … --slot {OTHER}") == 1


@pytest.mark.parametrize("load", ["config.load_config_files()", "config.parse_args(args=[])"])
def test_a_script_finds_its_own_slot_on_a_site_of_several(sim_site: SimSite, load: str) -> None:
    text = f"""
        from sodetlib.det_config import DetConfig
        config = DetConfig()
        {load}
        S = config.get_smurf_control()
        S.pub.publish({{"stream_id": config.stream_id, "root": S.epics_root}}, msgtype="session_data")
    """
    record = run(sim_site, text)
    assert record.outcome == "succeeded", record.log[-3000:]
    assert record.data == {"stream_id": stream_id(OWN), "root": f"smurf_server_s{OWN[-1]}"}


@pytest.mark.parametrize("args", [["--slot", OTHER[-1]], [f"--slot={OTHER}"]])
def test_a_submission_whose_arguments_name_another_slot_is_rejected(sim_site: SimSite, args: list[str]) -> None:
    with pytest.raises(ParameterError, match=f"--slot .* {OWN}"):
        run(sim_site, DOORS["caput"], *args)


def test_arguments_that_name_the_own_slot_are_passed_on(sim_site: SimSite) -> None:
    text = """
        import argparse
        from sodetlib.det_config import DetConfig
        config = DetConfig()
        config.parse_args()
        config.get_smurf_control()
    """
    record = run(sim_site, text, "--slot", OWN[-1])
    assert record.outcome == "succeeded", record.log[-3000:]


def test_the_example_of_the_how_to_runs_on_a_site_of_several_slots(sim_site: SimSite) -> None:
    page = (ROOT / "docs" / "how-to" / "write-a-control-script.md").read_text()
    example = page.split("```python\n")[1].split("```")[0].replace("take_stream_data(10)", "take_stream_data(1)")
    record = run(sim_site, example, "--bands", "0", "1")
    assert record.outcome == "succeeded", record.log[-3000:]
    assert record.data["datafile"]
