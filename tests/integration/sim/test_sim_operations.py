"""Every streaming operation, with the unmodified pysmurf and sodetlib on the simulated slot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smurfq.app import app
from smurfq.client.connection import Connection
from smurfq.core.session import SessionRecord
from smurfq.ocs import ERROR, OK, TIMEOUT, OCSClient
from smurfq.store.feeds import Feeds
from smurfq.workflows import Workflow, catalogue, stop_streams
from tests.integration.records import error_of
from tests.site.eventually import eventually
from tests.site.live import stream_id
from tests.site.simulated import DETECTORS, LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

IV = {
    "bias_high": 16.0,
    "bias_low": 0.0,
    "bias_step": 0.1,
    "wait_time": 0.05,
    "overbias_wait": 0.3,
    "cool_wait": 0.5,
    "show_plots": False,
}
BGMAP = {"nsteps": 6, "hcm_wait_time": 0.5}
STEPS = {"nsteps": 8, "hcm_wait_time": 0.5, "show_plots": False}
SCRIPT = """
import os, time
import epics
import sodetlib
from sodetlib.det_config import DetConfig

assert epics.ca.libca is None  # a script may still set EPICS' variables, or fork
config = DetConfig()
config.load_config_files(slot=int(os.environ["SLOT"]))
began = time.monotonic()
S = config.get_smurf_control()
late = f"{S.epics_root}:AMCc:SmurfProcessor:Downsampler:InternalFactor"
sodetlib.set_session_data(S, "connected", late in next(iter(epics.ca._cache.values())))
S.get_downsample_factor()
for band in range(8):
    S.get_att_uc(band), S.get_att_dc(band), S.get_band_delay_us(band), S.get_feedback_gain(band)
sodetlib.set_session_data(S, "took_s", time.monotonic() - began)
"""


def quantile(record: Any, name: str, percent: int) -> float:
    found = record.data["quantiles"][name]
    return float(found["values"][found["labels"].index(f"{name}_q{percent}")])


def last_block(feed: str, slot: str = SLOTS[0]) -> dict[str, Any]:
    return dict(Feeds(app.store).latest(feed, slot=slot)[0].data)


@pytest.fixture(scope="module")
def biased(sim_site: SimSite) -> dict[str, SessionRecord]:
    """The records of what brings the slot's detectors into their transition."""
    return {
        "take_bgmap": sim_site.succeeded("take_bgmap", kwargs=BGMAP),
        "take_iv": sim_site.succeeded("take_iv", kwargs=IV, tag="cal"),
        "bias_dets": sim_site.succeeded("bias_dets", rfrac=0.5),
    }


def test_the_observing_chain_finds_the_true_values(sim_site: SimSite, biased: dict[str, SessionRecord]) -> None:
    truth = sim_site.truth()
    responsive = truth["responsive"]
    wired = np.bincount(truth["bias_group"][responsive], minlength=12)
    assert biased["take_bgmap"].data["nchans_per_bg"] == [*wired.tolist(), int((~responsive).sum())]

    iv = biased["take_iv"]
    assert Path(iv.data["filepath"]).is_file()
    assert iv.tunefile is not None
    assert [name for name, _ in iv.stages] == ["overbias", "cool_wait", "sweep"]
    assert f"cool_wait: waits {IV['cool_wait']:g} s" in [text for _, text in iv.messages]
    for percent in (10, 50, 90):
        assert quantile(iv, "Rn", percent) == pytest.approx(np.nanpercentile(truth["R_n"], percent), rel=0.01)
        assert quantile(iv, "p_sat", percent) == pytest.approx(np.nanpercentile(truth["p_sat"], percent), rel=0.03)
    block = last_block("iv_results")
    assert block["Rn_total"] == block["p_sat_total"] == responsive.sum()

    biases = biased["bias_dets"].data["biases"]
    assert len(biases) == 12
    assert all(4 < volts < 8 for volts in biases)
    assert sim_site.read()["biases"] == pytest.approx(biases, abs=1e-3)

    steps = sim_site.succeeded("take_bias_steps", kwargs=STEPS)
    assert steps.data["biased_total"] == responsive.sum()
    assert steps.data["biased_per_bg"] == wired.tolist()
    assert quantile(steps, "Rfrac", 50) == pytest.approx(0.5, abs=0.04)  # the IV and the steps agree
    assert quantile(steps, "Si", 50) == pytest.approx(-8.7e6, rel=0.15)
    assert last_block("bias_step_results")["biased_total"] == responsive.sum()

    noise = sim_site.succeeded("take_noise", duration=8.0, kwargs={"nperseg": 1024, "show_plot": False})
    level = quantile(noise, "white_noise_level", 50)
    assert level == pytest.approx(np.median(truth["white_noise_pa"]), rel=0.15)
    assert len(noise.data["noise"]["band_medians"]) == 8
    assert last_block("noise_results")["white_noise_level_total"] == DETECTORS

    stream = sim_site.succeeded("stream", duration=2.0, tag="cmb")
    assert stream.data["stream_on"] is False
    files = list(Path(sim_site.options.folders.timestreams).rglob(f"{stream.data['sid']}_*.g3"))
    assert [path.name for path in files] == [f"{stream.data['sid']}_000.g3"]
    assert [file["path"] for file in stream.files if file["kind"] == "g3_file"] == [str(path) for path in files]
    for record in (steps, noise, stream):
        assert any(file["kind"] == "g3_file" for file in record.files), record.op_name
        assert all(Path(file["path"]).exists() for file in record.files if not file.get("missing")), record.op_name
    state = sim_site.read()
    assert (state["streaming"], state["open"], state["session_id"], state["playback"]) == (0, 0, 0, 0)


@pytest.mark.usefixtures("biased")
def test_bias_waves_agree_with_the_bias(sim_site: SimSite) -> None:
    waves = sim_site.succeeded(
        "take_bias_waves",
        kwargs={"duration": 2, "amp_wave": 0.1, "hcm_wait_time": 0.5, "show_plots": False},
    )
    # sodetlib's analysis of waves leaves the mean in, which spreads Rfrac; the less, the longer and larger the wave.
    assert quantile(waves, "Rfrac", 50) == pytest.approx(0.5, abs=0.1)
    responsive = sim_site.truth()["responsive"].sum()
    assert 0.85 * responsive <= waves.data["biased_total"] <= responsive
    assert last_block("bias_wave_results")["biased_total"] == waves.data["biased_total"]


def test_biases_are_set_zeroed_and_read_back(sim_site: SimSite) -> None:
    record = sim_site.succeeded("set_biases", bias=[1.0, -2.5], bgs=[3, 11])
    assert record.data["biases"][3] == pytest.approx(1.0, abs=1e-4)
    read = sim_site.read()["biases"]
    assert (read[3], read[11]) == pytest.approx((1.0, -2.5), abs=1e-4)
    sim_site.succeeded("zero_biases", bgs=[3])
    read = sim_site.read()["biases"]
    assert (read[3], read[11]) == pytest.approx((0.0, -2.5), abs=1e-4)
    sim_site.succeeded("overbias_tes", bgs=[0])
    assert sim_site.read()["biases"][0] == pytest.approx(10.0, abs=1e-3)  # the device configuration's cool_voltage
    sim_site.succeeded("zero_biases")
    assert sim_site.read()["biases"] == [0.0] * 12


def test_the_state_is_read_beside_a_stream_which_a_stop_ends_in_good_order(sim_site: SimSite) -> None:
    slot = sim_site.slot()
    stream = slot.submit("stream", tag="beside")
    sim_site.in_stage(stream, "streaming")
    state = sim_site.succeeded("check_state", once=True)
    assert state.data["open_g3stream"] == 1
    assert state.data["num_active_channels"] == DETECTORS
    assert state.data["stream_tag"] == "obs,stream,beside"
    assert state.data["downsample_factor"] == 20
    assert len(state.data["channel_mask"]) == 4096
    assert state.data["channel_mask"][:DETECTORS] == sorted(state.data["channel_mask"][:DETECTORS])
    assert last_block("state_results") == {"open_g3stream": 1, "num_active_channels": DETECTORS}
    slot.stop()
    record = stream.wait(LONG_S)
    assert record.outcome == "succeeded", record.error
    assert record.data["stream_on"] is False
    assert sim_site.read()["session_id"] == 0


def test_a_client_that_speaks_ocs_streams_until_it_stops_the_process(sim_site: SimSite) -> None:
    client = OCSClient(f"pysmurf-controller-{stream_id(SLOTS[0]).replace('_', '-')}", settings=sim_site.settings)
    started = client.stream.start(subtype="cmb", tag="night", kwargs={})
    assert (started.status, started.session["data"]) == (OK, {"stream_on": False})
    eventually(lambda: client.stream().session["data"]["stream_on"], LONG_S, "the stream is on")
    session = client.stream.status().session
    assert (session["status"], session["op_code"], session["success"], session["end_time"]) == (
        "running",
        3,
        None,
        None,
    )
    assert session["data"]["stream_id"] == stream_id(SLOTS[0])
    assert sim_site.read()["open"] == 1
    assert client.stream.start().msg == 'Operation "stream" already in progress.'
    assert client.stream.wait(timeout=0.1).status == TIMEOUT

    state = client.check_state.start(poll_interval=0.5)
    assert state.status == OK
    eventually(lambda: "open_g3stream" in client.check_state().session["data"], LONG_S, "the state was read")
    assert client.check_state.status().session["data"]["open_g3stream"] == 1
    assert client.check_state.stop().status == OK

    refused = client.take_iv.start()
    assert refused.status == ERROR
    assert "is before it until somebody stops it" in refused.msg
    assert client.stream.stop().msg == 'Requested stop on process "stream".'
    ok, _, session = client.stream.wait(timeout=LONG_S)
    assert (ok, session["success"], session["op_code"], session["data"]["stream_on"]) == (OK, True, 5, False)
    assert client.stream.stop()[:2] == (ERROR, "The operation is already done")
    assert client.check_state.wait(timeout=LONG_S).session["success"]
    assert sim_site.read()["open"] == 0


def test_all_off_turns_tones_biases_and_amplifiers_off(sim_site: SimSite) -> None:
    slot = SLOTS[2]
    sim_site.start_worker(slot)
    sim_site.succeeded("set_biases", slot, bias=2.0)
    sim_site.succeeded("all_off", slot)
    assert sim_site.read(slot)["biases"] == [0.0] * 12
    state = sim_site.succeeded("check_state", slot, once=True)
    assert state.data["num_active_channels"] == 0
    sim_site.stop(sim_site.processes.pop(f"worker-{slot}"))


def test_records_and_status_say_that_all_this_is_simulated(sim_site: SimSite) -> None:
    record = sim_site.succeeded("test")
    assert record.to_dict()["simulated"] is True
    assert sim_site.slot().status().workers[0].about["simulated"] is True
    assert "SIMULATED" in sim_site.log(f"worker-{SLOTS[0]}")
    assert "SIMULATED" in sim_site.log("sim")


@pytest.mark.usefixtures("biased")
def test_the_shipped_observation_and_shutdown_run_as_workflows(sim_site: SimSite) -> None:
    slot = sim_site.slot()
    left_on = slot.submit("stream", tag="forgotten")
    sim_site.in_stage(left_on, "streaming")
    with Workflow(SLOTS[:1], connection=Connection(sim_site.settings)) as night:
        stop_streams()
        catalogue.find("observation", []).run({"duration_s": 2, "tag": "night", "bias_step_kwargs": STEPS})
        before, on, off, after = night.reports
        catalogue.find("safe_shutdown", []).run({})
    assert left_on.record().outcome == "succeeded"
    assert [one.operation for one in (before, on, off, after)] == [
        "take_bias_steps",
        "stream on",
        "stream off",
        "take_bias_steps",
    ]
    assert all(night.reports)
    assert [one.operation for one in night.reports[4:]] == ["zero_biases", "all_off"]
    stream = slot.run(on[SLOTS[0]].record_id or "").record()
    assert (stream.params["subtype"], stream.params["tag"], stream.data["stream_on"]) == ("cmb", "night", False)
    read = sim_site.read()
    assert (read["streaming"], read["open"], read["biases"]) == (0, 0, [0.0] * 12)


def test_keywords_with_which_sodetlib_would_fail_midway_are_rejected_first(sim_site: SimSite) -> None:
    before = set(Path(sim_site.options.folders.timestreams).rglob("*.g3"))
    for operation, params, said in (
        (
            "take_noise",
            {"duration": 2.0},
            "take_noise: duration is too short; got 2 s, 5.7 s would be enough. At 200 Hz",
        ),
        ("take_bias_waves", {"kwargs": {"frequency": 23}}, "sodetlib takes no 'frequency' in kwargs"),
        ("stream", {"kwargs": {"filter_cutoff": 2500}}, "filter_cutoff in kwargs must be below 2000 Hz"),
    ):
        record = sim_site.run(operation, **params)
        assert (record.outcome, error_of(record)["raised"]) == ("failed", "ParameterError"), record.error
        assert said in error_of(record)["message"]
    assert set(Path(sim_site.options.folders.timestreams).rglob("*.g3")) == before


def test_a_script_finds_the_registers_connected_that_it_used_before(sim_site: SimSite) -> None:
    path = sim_site.script("reads.py", SCRIPT)
    first, second = (sim_site.succeeded("run", script=path).data for _ in range(2))
    assert (first["connected"], second["connected"]) == (False, True)
    print(f"took {first['took_s']:.3f} s, then {second['took_s']:.3f} s")


def test_a_stream_id_that_has_changed_since_the_worker_started_is_told(sim_site: SimSite) -> None:
    path = sim_site.options.folders.config / "sys_config.yml"
    text = path.read_text()
    path.write_text(text.replace(stream_id(SLOTS[0]), "ufm_mv99"))
    try:
        record = sim_site.succeeded("check_state", once=True)
    finally:
        path.write_text(text)
    (told,) = [message for _, message in record.messages if "stream id" in message]
    assert f"'ufm_mv99' in sys_config.yml, but was '{stream_id(SLOTS[0])}' when its worker started" in told
    assert record.stream_id == stream_id(SLOTS[0])
