"""The initial configuration and tune of a simulated site."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import yaml

from smurfq.sim import wiring
from smurfq.sim.files import write_site, write_slot
from smurfq.sim.options import Folders
from tests.unit.sim.conftest import tones_at

SLOT = "crate1slot2"
STREAM_IDS = {SLOT: "ufm_mv9", "crate1slot5": "ufm_uv38"}
BANDS, CHANNELS = [0, 0, 7], [3, 9, 500]


def test_the_system_configuration_names_files_that_agree_with_the_model(tmp_path: Path) -> None:
    folders = Folders.below(tmp_path)
    write_site(folders, STREAM_IDS)
    system = yaml.safe_load((folders.config / "sys_config.yml").read_text())
    assert system["slot_order"] == [2, 5]
    assert system["g3_dir"] == str(folders.timestreams)
    assert [slot["stream_id"] for slot in system["slots"].values()] == list(STREAM_IDS.values())
    pysmurf = json.loads(Path(system["slots"]["SLOT[2]"]["pysmurf_config"]).read_text())
    assert pysmurf["bias_line_resistance"] == wiring.BIAS_LINE_OHM
    assert pysmurf["constant"]["pA_per_phi0"] == wiring.PA_PER_PHI0
    assert pysmurf["bias_group_to_pair"]["11"] == [23, 24]
    for name in ("default_data_dir", "smurf_cmd_dir", "tune_dir", "status_dir"):
        assert Path(pysmurf[name]).is_dir()


def test_a_tune_has_every_tone_where_its_register_has_it(tmp_path: Path) -> None:
    folders = Folders.below(tmp_path)
    write_site(folders, STREAM_IDS)
    tones = tones_at(BANDS, CHANNELS)
    path = write_slot(folders, SLOT, tones, {(0, 3): 11, (7, 500): -1}, {})
    tune = np.load(path, allow_pickle=True).item()
    assert [len(tune[band]["resonances"]) for band in range(8)] == [2, 0, 0, 0, 0, 0, 0, 1]
    resonance = tune[7]["resonances"][0]
    assert resonance["channel"] == 500
    assert isinstance(resonance["freq"], np.float64)  # as pysmurf's relock needs it
    assert abs(resonance["freq"] - tones.frequency_mhz(7, 500)) < 1e-9
    assigned = np.loadtxt(tune[0]["channel_assignment"], delimiter=",")
    assert assigned[:, 2:].astype(int).tolist() == [[9, -1], [3, 11]]  # by frequency
    assert (np.diff(assigned[:, 0]) > 0).all()
    assert resonance["offset"] == tones.center_mhz[7, 500]
    device = yaml.safe_load((folders.config / "device_crate1slot2.yml").read_text())
    assert device["experiment"]["tunefile"] == str(path)


def test_values_that_operations_wrote_to_the_device_configuration_are_kept(tmp_path: Path) -> None:
    folders = Folders.below(tmp_path)
    write_site(folders, STREAM_IDS)
    device = folders.config / "device_crate1slot2.yml"
    device.write_text("kept")
    write_slot(folders, SLOT, tones_at(BANDS, CHANNELS), {}, {})
    assert device.read_text() == "kept"
