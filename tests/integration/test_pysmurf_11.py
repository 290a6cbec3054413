"""An installation with pysmurf 11, which has no Channel Access."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site.commands import python
from tests.site.process_group import ROOT, environ_without_site


def test_a_worker_does_not_start_and_says_which_version_works(tmp_path: Path) -> None:
    installed = tmp_path / "pysmurf_slac-11.0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: pysmurf-slac\nVersion: 11.0.1\n")
    environ = {
        **environ_without_site(),
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "SMURFQ_STATE_DIR": str(tmp_path / "state"),
    }
    done = python(environ, "-m", "smurfq.worker_boot", "--slot", "crate1slot2")
    assert done.returncode == 1
    assert "pysmurf-slac 11.0.1 is installed: from version 11 on, pysmurf reaches a card through rogue" in done.stderr
    assert "pip install 'smurfq[slot]'" in done.stderr


@pytest.mark.slot
def test_a_copy_of_the_repository_without_a_version_is_rejected(tmp_path: Path) -> None:
    commands = tmp_path / "pysmurf" / "client" / "command"
    commands.mkdir(parents=True)
    for folder in (commands, *list(commands.parents)[:2]):
        (folder / "__init__.py").touch()
    (commands / "smurf_command.py").write_text("import pyrogue")
    code = (
        "import sys, types\n"
        "sys.modules['pyrogue'] = types.ModuleType('pyrogue')\n"
        "from smurfq.smurf_control import libraries\n"
        "libraries._MODULES = ('pysmurf.client',)\n"
        "libraries.preload()"
    )
    done = python({**environ_without_site(), "PYTHONPATH": f"{tmp_path}:{ROOT}"}, "-c", code)
    assert f"{commands}/smurf_command.py does not use pyepics: from version 11 on" in done.stderr
