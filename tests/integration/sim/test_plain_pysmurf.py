"""`smurfq sim` alone with plain pysmurf and sodetlib, without queue and worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("so3g", reason="needs so3g (pip install smurfq[slot])")
pytest.importorskip("caproto")

from tests.site.commands import python
from tests.site.live import stream_id
from tests.site.ports import free_port
from tests.site.process_group import ROOT

pytestmark = [pytest.mark.slot, pytest.mark.filterwarnings("ignore")]  # the libraries' own
SLOT = "crate1slot2"
DETECTORS = 60
BIAS_GROUP, BIAS_V = 3, 12.5
BIT_V = 20 / 2**20
PERSON = f"""
import json
from sodetlib import stream
from sodetlib.det_config import DetConfig

config = DetConfig()
config.load_config_files(slot=2)
S = config.get_smurf_control()
S.load_tune(config.dev.exp["tunefile"])
S.set_tes_bias_bipolar({BIAS_GROUP}, {BIAS_V})
sessions = [
    stream.take_g3_data(S, 4, tag="plain", downsample_mode="external", downsample_factor=20),
    stream.take_g3_data(S, 1, subtype="noise", downsample_mode="internal", downsample_factor=40),
]
print(json.dumps({{"sessions": sessions, "stream_id": config.stream_id, "bias": S.get_tes_bias_bipolar({BIAS_GROUP})}}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the simulator keeps all its files."""
    return tmp_path_factory.mktemp("simulator")


@pytest.fixture(scope="module")
def variables(folder: Path) -> Iterator[dict[str, str]]:
    """The variables that the simulator tells a client to set."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("EPICS", "SMURF", "OCS"))},
        "PYTHONPATH": str(ROOT),
        "SMURFQ_SLOTS": SLOT,
        "SMURFQ_STATE_DIR": str(folder / "state"),
        "SMURFQ_SIM_PORT": str(free_port()),
        "SMURFQ_SIM_DETECTORS": str(DETECTORS),
        "SMURFQ_SIM_FILE_DURATION_S": "1.5",
        "SMURFQ_SIM_PUBLISH": "false",
    }
    command = [sys.executable, "-m", "smurfq", "sim", "--folder", str(folder)]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as simulator:
        try:
            assert simulator.stdout is not None
            assert "SIMULATED" in simulator.stdout.readline()
            exports = iter(lambda: simulator.stdout.readline().strip(), "")  # type: ignore[union-attr]
            told: dict[str, str] = {}
            for line in exports:
                name, _, value = line.removeprefix("export ").partition("=")
                told[name] = value
                if len(told) == 4:
                    break
            yield {**environ, **told}
        finally:
            simulator.send_signal(signal.SIGINT)
            simulator.wait(60)


@pytest.fixture(scope="module")
def streamed(variables: dict[str, str]) -> Any:
    """What a person's script says who streams twice."""
    done = python({**variables, "MPLBACKEND": "Agg"}, "-c", PERSON)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_sodetlib_streams_and_loads_what_it_streamed(folder: Path, streamed: Any) -> None:
    load_session = pytest.importorskip("sodetlib.stream").load_session
    rates = []
    for session in streamed["sessions"]:
        loaded = load_session(streamed["stream_id"], session, base_dir=str(folder / "timestreams"))
        assert loaded.signal.shape == (DETECTORS, loaded.samps.count)
        assert np.isfinite(loaded.signal).all()
        assert (loaded.signal.std(axis=1) > 0).all()
        spacing_s = np.diff(loaded.timestamps)
        np.testing.assert_allclose(spacing_s, np.median(spacing_s), atol=1e-5)
        assert loaded.timestamps[0] == pytest.approx(session, abs=3)
        rates.append(1 / np.median(spacing_s))
        bias_v = loaded.biases[BIAS_GROUP] * 2 * BIT_V
        np.testing.assert_allclose(bias_v, BIAS_V, atol=2 * BIT_V)
        assert not np.delete(loaded.biases, BIAS_GROUP, axis=0).any()
    np.testing.assert_allclose(rates, [200, 100], rtol=1e-3)
    assert streamed["bias"] == pytest.approx(BIAS_V, abs=2 * BIT_V)
    assert streamed["stream_id"] == stream_id(SLOT)


def test_sotodlibs_index_takes_the_archive(folder: Path, streamed: Any) -> None:
    load_smurf = pytest.importorskip("sodetlib.stream").load_smurf
    archive = folder / "timestreams"
    smurf = load_smurf.G3tSmurf(str(archive), db_path=str(folder / "index.sqlite"), make_db=True)
    session = smurf.Session()
    try:
        smurf.index_archive(show_pb=False, stop_at_error=True, session=session)
        plain, noise = session.query(load_smurf.Observations).order_by(load_smurf.Observations.timestamp)
        assert [plain.timestamp, noise.timestamp] == streamed["sessions"]
        assert (plain.calibration, noise.calibration) == (False, True)
        smurf.update_observation_files(plain, session)
        assert len(plain.files) >= 3
        # None: a file without samples, as rotation leaves one where a busy machine writes late.
        assert {file.timing for file in plain.files} - {None} == {True}
        assert (plain.timing, plain.tag) == (True, "obs,stream,plain")
        assert {file.n_channels for file in plain.files} == {DETECTORS}
        assert plain.duration == pytest.approx(4, abs=0.7)
        assert (noise.timing, noise.tag) == (
            False,
            "oper,bad,bad_noise,timing_issues",
        )  # as any without the timing system
    finally:
        session.close()
        smurf.engine.dispose()
