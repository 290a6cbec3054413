"""If configuration files of a slot are missing or broken, the error names the file and says what to do."""

from __future__ import annotations

import importlib.util
import json
from typing import Any

import pytest

from tests.site.commands import python
from tests.site.process_group import environ_without_site

for package in ("sodetlib", "caproto", "so3g"):
    if importlib.util.find_spec(package) is None:  # found, not imported: it takes seconds
        pytest.skip(f"needs {package}: pip install 'smurfq[slot,sim]'", allow_module_level=True)

pytestmark = pytest.mark.slot
SLOT = "crate1slot2"

# Each case spoils one file of a good site; all in one process, since loading sodetlib takes seconds.
CASES = """
import json, os, shutil, sys
from pathlib import Path
from smurfq import config
from smurfq.errors import ConfigError, OperationFailedError
from smurfq.sim.files import write_cold_slot, write_site
from smurfq.sim.options import Folders
from smurfq.smurf_control.configuration import load_config
from smurfq.smurf_control.opening import _tune

settings, slot = config.load({}), "crate1slot2"
cases = {
    "good": lambda f: None,
    "no sys_config": lambda f: (f / "sys_config.yml").unlink(),
    "sys_config is no YAML": lambda f: (f / "sys_config.yml").write_text("a: [b"),
    "sys_config is a list": lambda f: (f / "sys_config.yml").write_text("- 1"),
    "sys_config is binary": lambda f: (f / "sys_config.yml").write_bytes(bytes(range(256))),
    "no slot": lambda f: (f / "sys_config.yml").write_text("slots: {'SLOT[3]': {}}"),
    "no slots": lambda f: (f / "sys_config.yml").write_text("slots: 5"),
    "no stream id": lambda f: (f / "sys_config.yml").write_text("slots: {'SLOT[2]': {device_config: /a}}"),
    "no device": lambda f: device(f).unlink(),
    "device is empty": lambda f: device(f).write_text(""),
    "device lacks all": lambda f: device(f).write_text("experiment: 5"),
    "device is no YAML": lambda f: device(f).write_text("{"),
    "no pysmurf": lambda f: (f / "pysmurf.cfg").unlink(),
    "pysmurf is no JSON": lambda f: (f / "pysmurf.cfg").write_text("{"),
    "no folder": lambda f: os.environ.pop("SMURF_CONFIG_DIR"),
    "no tune": lambda f: None,
    "tune gone": lambda f: None,
}
def device(folder):
    return next(path for path in folder.rglob("*") if path.is_file() and slot in path.name)
result = {}
for number, (name, spoil) in enumerate(cases.items()):
    folders = Folders.below(Path(sys.argv[1]) / str(number))
    write_site(folders, {slot: "ufm_mv9"})
    write_cold_slot(folders, slot)
    os.environ["SMURF_CONFIG_DIR"] = str(folders.config)
    os.environ.pop("OCS_CONFIG_DIR", None)
    before = {path for path in folders.config.rglob("*")}
    spoil(folders.config)
    try:
        found = load_config(settings, slot)
        if "tune" in name:
            found.dev.exp["tunefile"] = "/gone/tune.npy" if "gone" in name else None
            _tune(found, slot)
        result[name] = ""
    except (ConfigError, OperationFailedError) as error:
        result[name] = f"{type(error).__name__}: {error}".replace(str(folders.config), "CONFIG")
    assert {path for path in folders.config.rglob("*")} <= before, name  # nothing was made by itself
print("RESULT" + json.dumps(result))
"""
SAID = {
    "good": "",
    "no sys_config": "CONFIG/sys_config.yml is missing",
    "sys_config is no YAML": "CONFIG/sys_config.yml cannot be read: while parsing a flow sequence",
    "sys_config is a list": "CONFIG/sys_config.yml is not a YAML table",
    "sys_config is binary": "CONFIG/sys_config.yml cannot be read: ",
    "no slot": "CONFIG/sys_config.yml has no slots: SLOT[2]; it has SLOT[3]",
    "no slots": "CONFIG/sys_config.yml has no slots: SLOT[2]; it has none",
    "no stream id": "slots: SLOT[2] of CONFIG/sys_config.yml lacks stream_id",
    "no device": "is missing; copy it there, or make one with python -c",
    "device is empty": "is not a YAML table",
    "device lacks all": "cannot be used: experiment must be a table (`experiment: {}` if it is empty); bias_groups",
    "device is no YAML": "cannot be read: while parsing a flow",
    "no pysmurf": "pysmurf's configuration CONFIG/pysmurf.cfg is missing",
    "pysmurf is no JSON": "pysmurf's configuration CONFIG/pysmurf.cfg cannot be read: ",
    "no folder": "no configuration folder is set",
    "no tune": "needs uxm_setup first: it has no tune",
    "tune gone": "needs uxm_setup first: its tune file /gone/tune.npy does not exist",
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = python(environ_without_site(), "-c", CASES, str(tmp_path_factory.mktemp("sites")))
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    return dict(json.loads(line.removeprefix("RESULT")))


@pytest.mark.parametrize("case", SAID)
def test_the_error_names_the_faulty_file(told: dict[str, str], case: str) -> None:
    assert SAID[case] in told[case]
    if "tune" in case or case == "good":
        return
    assert told[case].startswith(f"ConfigError: the configuration of {SLOT}: ")
    assert "The folder is smurf.config_dir of the site file, or SMURF_CONFIG_DIR (now " in told[case]


def test_every_case_is_looked_at(told: dict[str, str]) -> None:
    assert told.keys() == SAID.keys()
