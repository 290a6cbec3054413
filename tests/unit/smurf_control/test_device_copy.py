"""A device configuration that a run left half-written is restored from the copy from before the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from smurfq.config import Settings
from smurfq.smurf_control.device_copy import copy_path, earlier_path, keep_copy, restore_copy

SLOT = "crate1slot2"
VALUES = {"dc_att": [1, 2, 3, 4], "uc_att": [1, 2, 3, 4]}
TABLE = {
    "experiment": {"tunefile": None, "nphi0": 5},
    "bias_groups": {"cool_voltage": [10.0] * 12},
    "bands": {"AMC[0]": VALUES, "AMC[1]": VALUES},
}
WHOLE = yaml.safe_dump(TABLE, sort_keys=False)


class Site:
    """The files of one slot."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(state_dir=folder / "state")
        self.environ = {"SMURF_CONFIG_DIR": str(folder)}
        self.device = folder / "device.yml"
        slot = {"stream_id": "ufm_mv9", "device_config": "$SMURF_CONFIG_DIR/device.yml", "pysmurf_config": "/p.cfg"}
        (folder / "sys_config.yml").write_text(yaml.safe_dump({"slots": {"SLOT[2]": slot}}))
        self.device.write_text(WHOLE)

    def keep(self) -> None:
        """Keep a copy, as before a run."""
        keep_copy(self.settings, SLOT, self.environ)

    def restore(self, *, succeeded: bool = False) -> str:
        """Restore the file, as after a run."""
        return restore_copy(self.settings, SLOT, self.environ, succeeded=succeeded)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("kept", range(0, len(WHOLE) - 1, 7))
def test_a_file_that_was_cut_anywhere_is_restored(site: Site, kept: int) -> None:
    site.keep()
    site.device.write_text(WHOLE[:kept])
    said = site.restore()
    assert f"{site.device} was left half-written; its copy from before the run was restored" in said
    assert site.device.read_text() == WHOLE
    assert copy_path(site.settings, SLOT).with_suffix(".truncated.yml").read_text() == WHOLE[:kept]
    assert site.restore() == ""


def test_what_a_run_has_written_completely_stays(site: Site) -> None:
    site.keep()
    more = yaml.safe_dump({**TABLE, "experiment": {"tunefile": "/t.npy", "nphi0": 5, "more": 1}})
    site.device.write_text(more)
    assert site.restore() == ""
    assert site.device.read_text() == more


def test_bands_that_sodetlib_writes_in_its_other_form_are_complete(site: Site) -> None:
    site.device.write_text(yaml.safe_dump({**TABLE, "bands": {"Band[5]": {"uc_att": 1}}}))
    site.keep()
    site.device.write_text(WHOLE)
    assert site.restore() == ""


def test_a_script_that_succeeds_may_remove_a_value_but_leave_no_broken_file(site: Site) -> None:
    site.keep()
    fewer = yaml.safe_dump({**TABLE, "experiment": {}})
    site.device.write_text(fewer)
    assert site.restore(succeeded=True) == ""
    assert site.device.read_text() == fewer
    site.device.write_text("")
    assert site.restore(succeeded=True)
    assert site.device.read_text() == WHOLE


def test_the_edit_of_a_person_between_runs_is_not_undone(site: Site) -> None:
    site.keep()
    site.device.write_text("experiment: {\n")
    site.keep()
    assert site.restore() == ""
    assert site.device.read_text() == "experiment: {\n"
    assert earlier_path(site.settings, SLOT).read_text() == WHOLE
    fewer = yaml.safe_dump({**TABLE, "experiment": {}})
    site.device.write_text(fewer)
    site.keep()
    assert site.restore() == ""
    assert site.device.read_text() == fewer


def test_a_file_that_cannot_be_restored_is_named_with_the_command_that_does_it(site: Site) -> None:
    site.keep()
    site.device.unlink()
    site.device.mkdir()
    assert f"run `cp {copy_path(site.settings, SLOT)} {site.device}`" in site.restore()


def test_a_site_without_a_configuration_has_nothing_to_restore(site: Site) -> None:
    site.environ.clear()
    assert site.restore() == ""
