"""The settings that a simulated site gives its processes, and the simulator's report of itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smurfq import config
from smurfq.errors import ConfigError
from smurfq.sim import presence
from smurfq.sim.faults import Faults
from smurfq.sim.surroundings import client_variables, options_of, site_variables


def settings(tmp_path: Path, **more: str) -> config.Settings:
    return config.load({"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_SIM_PORT": "17064", **more})


def test_all_that_a_simulated_site_uses_is_below_its_state_folder(tmp_path: Path) -> None:
    before = settings(tmp_path)
    variables = site_variables(options_of(before, before.slots))
    after = config.load({"SMURFQ_STATE_DIR": str(tmp_path), **{k: v for k, v in variables.items() if "SMURFQ" in k}})
    assert after.simulated
    assert after.epics.ca_addr_list == "127.0.0.1:17064"
    assert after.epics.ca_auto_addr_list == "NO"
    for folder in (after.smurf.config_dir, after.smurf.timestreams_dir, after.smurf.smurf_data_dir):
        assert folder is not None
        assert folder.is_relative_to(tmp_path / "sim")


def test_a_card_that_the_environment_names_is_overruled(tmp_path: Path) -> None:
    variables = client_variables(options_of(settings(tmp_path), ("crate1slot2",), tmp_path / "mine"))
    assert variables["EPICS_CA_ADDR_LIST"] == "127.0.0.1:17064"
    assert variables["EPICS_CA_AUTO_ADDR_LIST"] == "NO"
    assert variables["SMURF_CONFIG_DIR"] == variables["OCS_CONFIG_DIR"] == str(tmp_path / "mine" / "config")


def test_slots_of_one_number_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must have different numbers.*crate1slot2, crate2slot2"):
        options_of(settings(tmp_path), ("crate1slot2", "crate2slot2"))
    with pytest.raises(ConfigError, match="got none"):
        options_of(settings(tmp_path), ())
    with pytest.raises(ConfigError, match=r"sim\.detectors must be from 1 to 3328; got 4000"):
        options_of(settings(tmp_path, SMURFQ_SIM_DETECTORS="4000"), ("crate1slot2",))


def test_each_slot_has_a_population_of_its_own(tmp_path: Path) -> None:
    options = options_of(settings(tmp_path, SMURFQ_SIM_SEED="7"), ("crate1slot2", "crate1slot3"))
    assert options.seed_of("crate1slot2") != options.seed_of("crate1slot3")


def test_the_simulators_state_is_used_while_its_process_lives(tmp_path: Path) -> None:
    options = options_of(settings(tmp_path), ("crate1slot2",))
    options.folder.mkdir(parents=True)
    assert presence.read(options.folder) is None
    told = presence.tell(options, {"crate1slot2": Faults(gaps=0.5)}, "")
    found = presence.read(options.folder)
    assert found is not None
    assert (found["simulated"], found["pid"], found["address"]) == (True, os.getpid(), "127.0.0.1:17064")
    assert found["slots"]["crate1slot2"]["faults"] == {"gaps": 0.5}
    (options.folder / "status.json").write_text(told.replace(str(os.getpid()), str(2**22 + 1)))
    assert presence.read(options.folder) is None
    presence.forget(options.folder)
    assert list(options.folder.iterdir()) == []
