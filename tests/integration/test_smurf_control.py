"""smurf_control against the real pysmurf, sodetlib and pyepics, and a real Channel Access server of a few registers.

Each case runs in a process of its own: Channel Access, once initialised, stays in a process for good.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("caproto")
if importlib.util.find_spec("sodetlib") is None:  # found, not imported: it takes seconds
    pytest.skip("needs pysmurf and sodetlib: pip install 'smurfq[slot]'", allow_module_level=True)

from smurfq.sim.files import write_cold_slot, write_site
from smurfq.sim.options import Folders
from tests.site.commands import evaluate
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.ports import free_port
from tests.site.process_group import ROOT, ProcessGroup

pytestmark = pytest.mark.slot
SLOT = "crate1slot2"

SERVER = """
import asyncio, sys
from caproto import ChannelInteger, ChannelType
from caproto.asyncio.server import run
from smurfq.smurf_control import registers as r

dacs = [0] * 32
dacs[0], dacs[1], dacs[7], dacs[29] = 5000, -5000, 77, 1234  # bias groups 0 and 3, and an amplifier's gate
values = {
    r.SLOT_NUMBER: 2, r.RESTART_LINK: 0, r.ENABLE_STREAMING: 1, r.OPEN_G3STREAM: 1, r.WAVEFORM_ENABLE: 3,
    r.BIAS_DACS: dacs, r.CRYOCARD: 0, r.CRYOCARD_ANSWER: 0,  # no cryocard is connected
}
channels = {}
for name, value in values.items():
    if name not in sys.argv[1:]:
        size = len(value) if isinstance(value, list) else 1
        channels[f"smurf_server_s2:{name}"] = ChannelInteger(value=value, max_length=size)
class OpenG3(ChannelInteger):
    async def write_from_dbr(self, *args, **kwargs):
        asyncio.get_running_loop().call_later(CLOSES_S, lambda: asyncio.ensure_future(session.write(0)))
        return await super().write_from_dbr(*args, **kwargs)

for argument in sys.argv[1:]:
    if argument.startswith("closes="):
        CLOSES_S = float(argument.partition("=")[2])
        session = channels[f"smurf_server_s2:{r.SESSION_ID}"] = ChannelInteger(value=77)
        channels[f"smurf_server_s2:{r.OPEN_G3STREAM}"] = OpenG3(value=1)
print("ready", flush=True)
run(channels, interfaces=["127.0.0.1"])
"""


class ChannelAccess(ProcessGroup):
    """A Channel Access server on loopback, and the environment of its clients."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        port = str(free_port())
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EPICS_")},
            "EPICS_CA_SERVER_PORT": port,
            "EPICS_CA_REPEATER_PORT": str(free_port()),
            "EPICS_CA_ADDR_LIST": "127.0.0.1",
            "EPICS_CA_AUTO_ADDR_LIST": "NO",
            "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
            "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
            "PYTHONPATH": str(ROOT),
        }

    def serve(self, *without: str) -> None:
        """Start the server, without the registers named; ``closes=S``: a g3 session ends S seconds after it is told."""
        ready = self.log("server").count("ready")
        self.launch("server", [sys.executable, "-uc", SERVER, *without], self.environment)
        eventually(lambda: self.log("server").count("ready") > ready, READY_WITHIN_S, "the server is ready")

    def client(self, code: str) -> Any:
        """What ``code`` leaves in ``result``, run in a client of its own."""
        return evaluate(self.environment, f"from smurfq import smurf_control\n{code}")


@pytest.fixture
def access(tmp_path: Path) -> Iterator[ChannelAccess]:
    with ChannelAccess(tmp_path) as made:
        yield made


def test_make_safe_turns_off_what_is_on_and_leaves_the_amplifiers_alone(access: ChannelAccess) -> None:
    access.serve()
    found = access.client(
        "from smurfq.smurf_control import registers as r\n"
        f"first = smurf_control.make_safe({SLOT!r})\n"
        f"again = smurf_control.make_safe({SLOT!r})\n"
        f"dacs = r.Registers({SLOT!r}, [r.BIAS_DACS]).get(r.BIAS_DACS).tolist()\n"
        "result = [first, again, dacs]"
    )
    first, again, dacs = found
    assert {name: first["found"][name] for name in ("streaming", "g3_file", "playback")} == {
        "streaming": 1,
        "g3_file": 1,
        "playback": 3,
    }
    assert first["safe"] is True
    assert first["text"].startswith("turned off: streaming, the g3 file, waveform playback, biases of groups 0, 3 (")
    assert again["text"] == "all was off"
    assert first["unknown"] == []
    assert again["left_on"] == ""
    assert dacs == [*[0] * 29, 1234, 0, 0]


def test_a_streamer_that_closes_its_file_late_is_waited_for(access: ChannelAccess) -> None:
    access.serve("closes=6")
    closed = access.client(
        f"from smurfq.smurf_control.making_safe import close_streams\nresult = close_streams({SLOT!r}, 60.0)"
    )
    assert closed["found"]["session_id"] == 77
    assert closed["left_on"] == ""
    assert closed["text"] == "turned off: streaming, the g3 file (session 77), waveform playback"


def test_make_safe_says_what_it_does_not_know_within_its_time(access: ChannelAccess) -> None:
    found = access.client(
        "import time\nt = time.monotonic()\n"
        f"safe = smurf_control.make_safe({SLOT!r})\n"
        "result = [safe, time.monotonic() - t]"
    )
    safe, took_s = found
    assert safe["safe"] is False
    assert safe["unknown"] == ["streaming", "g3_file", "playback", "bias_dacs", "relays"]
    assert safe["text"].startswith("does not answer, may be on: streaming, ")
    assert took_s < 60


def test_make_safe_does_what_it_can_where_a_register_is_missing(access: ChannelAccess) -> None:
    access.serve("AMCc:SmurfProcessor:SOStream:open_g3stream")
    safe = access.client(f"result = smurf_control.make_safe({SLOT!r})")
    assert safe["unknown"] == ["g3_file"]
    assert safe["safe"] is False
    assert safe["left_on"] == "the g3 file (does not answer)"
    assert safe["after"]["bias_dacs"] == [*[0] * 29, 1234, 0, 0]


def test_restart_of_the_link(access: ChannelAccess) -> None:
    access.serve()
    assert access.client(f"result = smurf_control.restart_link({SLOT!r})") == [True, True]


def test_restart_of_the_link_without_a_server_fails_soon(access: ChannelAccess) -> None:
    text = access.client(
        "from smurfq.errors import OperationFailedError\n"
        f"try:\n    smurf_control.restart_link({SLOT!r})\n    result = 'no error'\n"
        "except OperationFailedError as error:\n    result = str(error)"
    )
    assert "smurf_server_s2:AMCc:RestartRssi could not be written" in text


def test_preload_leaves_channel_access_alone_and_a_process_that_touched_it_is_rejected(
    access: ChannelAccess,
) -> None:
    access.serve()
    found = access.client(
        "from smurfq.errors import ForkSafetyError\n"
        "versions = smurf_control.preload()\n"
        f"answers = smurf_control.card_answers({SLOT!r})\n"
        "try:\n    smurf_control.assert_no_channel_access()\n    refused = False\n"
        "except ForkSafetyError:\n    refused = True\n"
        "result = [versions, answers, refused]"
    )
    versions, answers, refused = found
    assert {"sodetlib", "pysmurf-slac", "numpy", "smurfq", "python"} <= set(versions)
    assert answers is True
    assert refused is True


def test_a_child_of_a_preloaded_process_reaches_the_card(access: ChannelAccess) -> None:
    access.serve()
    answers = access.client(
        "import os\nsmurf_control.preload()\npid = os.fork()\n"
        f"if pid == 0:\n    os._exit(0 if smurf_control.card_answers({SLOT!r}) else 1)\n"
        "result = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    )
    assert answers == 0


def test_the_hard_coded_folders_are_those_of_the_settings(access: ChannelAccess, tmp_path: Path) -> None:
    found = access.client(
        "from smurfq.config import Settings\nimport sodetlib, inspect\n"
        "from sodetlib.operations.bias_steps import BiasStepAnalysis as A\n"
        "from sodetlib.operations.bias_wave import BiasWaveAnalysis as W\n"
        "def seen():\n"
        "    base = [inspect.signature(f).parameters['base_dir'].default for f in\n"
        "            (sodetlib.load_session, A.run_analysis, W.run_analysis)]\n"
        "    return base + [c for c in A.run_analysis.__code__.co_consts\n"
        "                   if str(c).endswith('bias_group_maps')]\n"
        f"mine = Settings(smurf={{'timestreams_dir': {str(tmp_path)!r}, 'smurf_data_dir': {str(tmp_path)!r}}})\n"
        "result = []\n"
        "for settings in (mine, mine, Settings()):\n"
        "    smurf_control.apply_paths(settings)\n    result.append(seen())"
    )
    mine, twice, default = found
    assert mine == twice == [*[str(tmp_path)] * 3, f"{tmp_path}/bias_group_maps"]
    assert default == [*["/data/so/timestreams"] * 3, "/data/smurf_data/bias_group_maps"]


def test_opening_a_slot_without_a_card_or_a_configuration_says_what_to_do(
    access: ChannelAccess, tmp_path: Path
) -> None:
    access.environment["SMURF_CONFIG_DIR"] = str(tmp_path)
    text = access.client(
        "from types import SimpleNamespace\nfrom smurfq.config import Settings\n"
        "from smurfq.errors import SmurfqError\n"
        f"session = SimpleNamespace(settings=Settings(), slot={SLOT!r}, op_name='test', header=lambda **_: None)\n"
        "try:\n    with smurf_control.open_slot(session):\n        result = 'no error'\n"
        "except SmurfqError as error:\n    result = str(error)"
    )
    assert f"{tmp_path}/sys_config.yml is missing" in text
    assert "smurf.config_dir" in text


def test_registers_are_connected_ahead_and_those_that_are_gone_forgotten(access: ChannelAccess, tmp_path: Path) -> None:
    access.serve()
    found = access.client(
        "import epics, io, contextlib\nfrom types import SimpleNamespace\n"
        "from smurfq.config import Settings\nfrom smurfq.smurf_control import connect_ahead, registers as r\n"
        f"settings = Settings(state_dir={str(tmp_path)!r})\n"
        f"session = SimpleNamespace(settings=settings, slot={SLOT!r}, op_name='test')\n"
        "here, gone = 'smurf_server_s2:' + r.SLOT_NUMBER, 'smurf_server_s2:gone'\n"
        f"path = connect_ahead.names_file(settings, {SLOT!r}, 'test')\n"
        "connect_ahead._write(path, {here: 2, gone: 0})\n"
        "ahead = connect_ahead.ConnectedAhead(session)\n"
        "ahead.wait()\n"
        "pv = epics.PV(here)\n"
        "at_once = pv.connected\n"
        "with contextlib.redirect_stdout(io.StringIO()) as told:\n"
        "    ahead.remember({here: pv, gone: epics.PV(gone), 'foreign': pv})\n"
        "result = [at_once, int(pv.get()), told.getvalue(), list(connect_ahead._read(path, 'smurf')) == [here]]"
    )
    at_once, value, told, kept = found
    assert at_once is True
    assert value == 2
    assert told == "1 registers that earlier runs used do not answer, and are forgotten: smurf_server_s2:gone\n"
    assert kept is True


def test_without_a_server_the_names_are_kept_and_little_time_is_lost(access: ChannelAccess, tmp_path: Path) -> None:
    found = access.client(
        "import epics, time\nfrom types import SimpleNamespace\n"
        "from smurfq.config import Settings\nfrom smurfq.smurf_control import connect_ahead\n"
        f"settings = Settings(state_dir={str(tmp_path)!r})\n"
        f"session = SimpleNamespace(settings=settings, slot={SLOT!r}, op_name='test')\n"
        f"path = connect_ahead.names_file(settings, {SLOT!r}, 'test')\n"
        "connect_ahead._write(path, {'smurf_server_s2:a': 0})\n"
        "ahead = connect_ahead.ConnectedAhead(session)\n"
        "ahead.wait()\n"
        "ahead.remember({'smurf_server_s2:a': epics.PV('smurf_server_s2:a')})\n"
        "result = connect_ahead._read(path, 'smurf')"
    )
    assert found == {"smurf_server_s2:a": 0}


@pytest.mark.parametrize(
    ("own_id", "given", "published_as"),
    [
        ("ufm_mv9", "", "ufm_mv9"),
        ("ufm_mv9.state", "", "ufm_mv9.state"),
        ("ufm_mv9.state", ", smurfpub_id=None", "ufm_mv9.state"),
        ("ufm_mv9", ", smurfpub_id='mine'", "mine"),
    ],
)
def test_a_slot_that_code_opens_by_itself_publishes_under_the_id_of_its_lane(
    access: ChannelAccess, tmp_path: Path, own_id: str, given: str, published_as: str
) -> None:
    folders = Folders.below(tmp_path)
    write_site(folders, {SLOT: "ufm_mv9"})
    write_cold_slot(folders, SLOT)
    access.environment.update(SMURF_CONFIG_DIR=str(folders.config), SMURFPUB_ID=own_id)
    found = access.client(
        "from sodetlib.det_config import DetConfig\n"
        "from pysmurf.client.util.pub import Publisher\n"
        "from smurfq.errors import OtherSlotError\n"
        f"smurf_control.limit_to_slot({SLOT!r})\n"
        "config = DetConfig()\nconfig.load_config_files(slot=2)\n"
        f"try:\n    config.get_smurf_control(offline=True{given})\n"
        "except OtherSlotError:  # offline, its registers belong to no slot; its publisher was made before\n"
        "    result = Publisher('any').pub_id"
    )
    assert found == published_as
