"""A session's files are readable with sodetlib's load_session, and with sotodlib's load_smurf and index."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("so3g", reason="needs so3g (pip install smurfq[slot])")

from smurfq.sim.detectors import population
from smurfq.sim.downsampling import BITMASK, EXTERNAL, MODE
from smurfq.sim.files import write_site, write_slot
from smurfq.sim.options import Folders
from smurfq.sim.radio.band import BandModel
from smurfq.sim.radio.resonators import resonators_of
from smurfq.sim.registers import (
    INTERNAL_FACTOR,
    MASK,
    NUM_CHANNELS,
    PROCESSOR,
    STREAM,
    TUNE_PATH,
    Value,
    band_register,
    register_table,
)
from smurfq.sim.samples import Samples
from smurfq.sim.status import stream_status
from smurfq.sim.stream_options import BY_DEFAULT, StreamOptions
from smurfq.sim.streamer import Streamer
from smurfq.sim.tones import tuned

pytestmark = [pytest.mark.slot, pytest.mark.filterwarnings("ignore")]  # the libraries' own
SLOT = "crate1slot2"
NOW = 1_763_800_000
CHANNELS = (32, 51, 700, 4095)
FS = 200.0
FRAME_RATE = 4000
TICK_S = 0.1
TWENTY = 0b10_0000_0000_0010 << 10  # 4 and 5 of the timing system's counters
CENTERS = "CryoChannels:centerFrequencyArray"


def registers(**changes: Value) -> dict[str, Value]:
    """The registers of a slot that streams four channels, each key of ``changes`` a name behind SOStream."""
    table = register_table(1, 2)
    held: dict[str, Value] = {name: register.first() for name, register in table.items()}
    put: dict[str, Any] = {
        MASK: CHANNELS,
        NUM_CHANNELS: len(CHANNELS),
        INTERNAL_FACTOR: 20,
        PROCESSOR + "Filter:A": (1.0, -3.74, 5.26, -3.30, 0.78),
        PROCESSOR + "Filter:B": (5e-6, 2e-5, 3e-5, 2e-5, 5e-6),
        STREAM + "stream_tag": "obs,stream,dark",
        STREAM + "pysmurf_action": "take_g3_data",
        STREAM + "pysmurf_action_timestamp": NOW - 3,
        **{STREAM + name: value for name, value in changes.items()},
    }
    return held | {name: table[name].value_of(value) for name, value in put.items()}


def frequencies_mhz(held: dict[str, Value]) -> list[float]:
    """Where the streamed channels' tones stand."""
    found = []
    for band, channel in (divmod(absolute, 512) for absolute in CHANNELS):
        of_band = {
            name: np.atleast_1d(np.asarray(held[band_register(band, name)], float))
            for name in ("bandCenterMHz", "toneFrequencyOffsetMHz", "CryoChannels:centerFrequencyArray")
        }
        found.append(sum(float(values[channel % values.size]) for values in of_band.values()))
    return found


def stretch(start_s: float, first: int, count: int) -> Samples:
    """Samples ``first`` and on of a stream that begins at ``start_s``: a wave in each channel, a ramp of each bias."""
    at = np.arange(first, first + count, dtype=np.int64)
    waves = 20000 * np.sin(2 * np.pi * at / 300 + np.arange(len(CHANNELS))[:, None]) + 2**26 * np.arange(4)[:, None]
    return Samples(
        time_ns=round(start_s * 1e9) + at * round(1e9 / FS),
        counts=waves.astype(np.int32),
        tes_biases=(at // 100 + 1000 * np.arange(12)[:, None]).astype(np.int32),
        frame_counter=at * round(FRAME_RATE / FS) + 123_456,
        relays=np.full(count, 5, np.int64),
    )


def record(
    folder: Path,
    *,
    start_s: float = NOW + 0.25,
    seconds: int = 6,
    options: StreamOptions = BY_DEFAULT,
    held: dict[str, Value] | None = None,
    ended: bool = True,
) -> int:
    """Write a session and return its id."""
    streamer = Streamer(folder, SLOT, crate=1, slot=2)
    session = streamer.open(start_s, stream_status(held or registers()), options)
    step = round(TICK_S * FS)
    for first in range(0, round(seconds * FS), step):
        streamer.write(stretch(start_s, first, step))
    if ended:
        streamer.close(start_s + seconds)
    return session


@pytest.fixture(scope="module")
def sodetlib_stream() -> Any:
    """sodetlib.stream, which takes four seconds to import."""
    return pytest.importorskip("sodetlib.stream")


@pytest.fixture(scope="module")
def load_smurf(sodetlib_stream: Any) -> Any:
    """sotodlib.io.load_smurf."""
    return sodetlib_stream.load_smurf


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("high_precision", [True, False])
def test_sodetlib_loads_what_was_streamed(
    tmp_path: Path, sodetlib_stream: Any, compressed: bool, high_precision: bool
) -> None:
    options = StreamOptions(compressed=compressed, high_precision=high_precision)
    session = record(tmp_path, options=options)
    loaded = sodetlib_stream.load_session(SLOT, session, base_dir=str(tmp_path))
    written = stretch(NOW + 0.25, 0, 1200)
    np.testing.assert_allclose(loaded.signal, written.counts * np.pi / 2**15, rtol=1e-6)
    np.testing.assert_allclose(loaded.timestamps, written.time_ns / 1e9, rtol=0, atol=3e-6)
    np.testing.assert_array_equal(loaded.biases[:12], written.tes_biases)
    assert loaded.biases.shape == (16, 1200)
    np.testing.assert_array_equal(loaded.primary.UnixTime, written.time_ns)
    np.testing.assert_array_equal(loaded.primary.FrameCounter, written.frame_counter)
    assert set(loaded.primary.TESRelaySetting) == {5}
    assert loaded.ch_info.band.tolist() == [0, 0, 1, 7]
    assert loaded.ch_info.channel.tolist() == [32, 51, 188, 511]
    np.testing.assert_allclose(loaded.ch_info.res_frequency, frequencies_mhz(registers()))
    assert loaded.status.flux_ramp_rate_hz == FRAME_RATE
    assert loaded.status.downsample_factor == 20
    np.testing.assert_allclose(loaded.iir_params.a, [1.0, -3.74, 5.26, -3.30, 0.78])


def test_its_status_says_what_was_asked_for(tmp_path: Path, sodetlib_stream: Any) -> None:
    session = record(tmp_path)
    status = sodetlib_stream.load_session_status(SLOT, session, base_dir=str(tmp_path))
    assert (status.stream_id, status.session_id, status.dump_frame) == (SLOT, session, True)
    assert (status.action, status.action_timestamp) == ("take_g3_data", NOW - 3)
    assert status.tags == ["obs", "stream", "dark"]
    assert status.mask.tolist() == list(CHANNELS)
    assert status.downsample_external is False


def test_several_files_are_one_session(tmp_path: Path, sodetlib_stream: Any, load_smurf: Any) -> None:
    session = record(tmp_path, options=StreamOptions(file_duration_s=2.0))
    files = sodetlib_stream.get_session_files(SLOT, session, base_dir=str(tmp_path))
    assert [Path(path).name for path in files] == [f"{session}_{number:03}.g3" for number in range(3)]
    loaded = sodetlib_stream.load_session(SLOT, session, base_dir=str(tmp_path))
    np.testing.assert_array_equal(loaded.primary.FrameCounter, stretch(0, 0, 1200).frame_counter)
    # A later file has no status of its own: the reader goes back to the first.
    alone = load_smurf.load_file(files[1], show_pb=False)
    first = int(np.flatnonzero(loaded.primary.FrameCounter == alone.primary.FrameCounter[0])[0])
    np.testing.assert_array_equal(alone.signal, loaded.signal[:, first : first + alone.samps.count])
    across = load_smurf.load_file(files, samples=(first - 10, first + 10), channels=[(1, 188)], show_pb=False)
    np.testing.assert_array_equal(across.signal, loaded.signal[2:3, first - 10 : first + 10])


class Index:
    """sotodlib's index of an archive of level 2 files, and of the tunes beside it."""

    def __init__(self, load_smurf: Any, archive: Path) -> None:
        self._load_smurf = load_smurf
        self.tunes = archive / "smurf"
        self.smurf = load_smurf.G3tSmurf(
            str(archive), db_path=str(archive / "index.sqlite"), meta_path=str(self.tunes), make_db=True
        )
        self.session = self.smurf.Session()

    def read(self) -> None:
        self.smurf.index_archive(show_pb=False, stop_at_error=True, session=self.session)

    def observations(self) -> dict[str, Any]:
        found = self.session.query(self._load_smurf.Observations).all()
        return {observation.obs_id: observation for observation in found}

    def files(self) -> list[Any]:
        return list(self.session.query(self._load_smurf.Files).order_by(self._load_smurf.Files.name))

    def close(self) -> None:
        self.session.close()
        self.smurf.engine.dispose()


@pytest.fixture
def index(tmp_path: Path, load_smurf: Any) -> Any:
    found = Index(load_smurf, tmp_path)
    yield found
    found.close()


def test_the_archives_index_finds_a_session_good(tmp_path: Path, index: Index) -> None:
    held = registers() | {MODE: EXTERNAL, BITMASK: TWENTY}
    session = record(tmp_path, options=StreamOptions(high_precision=True), held=held)
    index.read()
    (found,) = index.observations().values()
    assert found.obs_id == f"obs_{SLOT}_{session}"
    assert (found.action_name, found.action_ctime, found.stream_id) == ("take_g3_data", NOW - 3, SLOT)
    assert (found.timing, found.tag, found.n_samples) == (True, "obs,stream,dark", 1200)
    assert found.duration == pytest.approx(6 - 1 / FS)
    began = found.start.replace(tzinfo=datetime.UTC).timestamp()
    assert began == pytest.approx(NOW + 0.25, abs=1e-5)
    (file,) = index.files()
    assert (file.n_channels, file.timing, file.sample_start, file.sample_stop) == (4, True, 0, 1200)


@pytest.mark.parametrize(("high_precision", "external"), [(False, True), (True, False)])
def test_the_index_calls_timing_bad_without_the_timing_system(
    tmp_path: Path, index: Index, high_precision: bool, external: bool
) -> None:
    held = registers(stream_tag="oper,iv") | {MODE: int(external), BITMASK: TWENTY}
    session = record(tmp_path, options=StreamOptions(high_precision=high_precision), held=held)
    index.read()
    found = index.observations()[f"oper_{SLOT}_{session}"]
    assert (found.timing, found.calibration) == (False, True)
    assert found.tag == "oper,bad,bad_iv,timing_issues"
    assert index.files()[0].timing is high_precision


def test_an_index_follows_a_session_of_several_files(tmp_path: Path, index: Index) -> None:
    session = record(tmp_path, options=StreamOptions(file_duration_s=2.0, high_precision=True))
    index.read()
    found = index.observations()[f"obs_{SLOT}_{session}"]
    # The first file alone does not say that the session has ended: sotodlib's site pipeline asks anew later.
    assert found.stop is None
    index.smurf.update_observation_files(found, index.session)
    assert found.stop is not None
    assert (len(found.files), found.n_samples) == (3, 1200)
    assert [file.timing for file in index.files()] == [True] * 3
    bounds = [(file.sample_start, file.sample_stop) for file in index.files()]
    assert bounds == [(0, 400), (400, 800), (800, 1200)]


def test_a_session_that_has_not_ended_has_no_stop(tmp_path: Path, index: Index, load_smurf: Any) -> None:
    held = registers(stream_tag="obs,stream")
    streamer = Streamer(tmp_path, SLOT, crate=1, slot=2)
    session = streamer.open(NOW, stream_status(held), StreamOptions(file_duration_s=1.0, agg_time_s=0.1))
    for first in range(0, 600, 20):
        streamer.write(stretch(NOW, first, 20))
    closed, still_open = f"{session}_000.g3", f"{session}_002.g3"
    files = {path.name: path for path in tmp_path.rglob("*.g3")}
    assert still_open in files
    with index.smurf.Session() as session_of_db:
        index.smurf.add_file(str(files[closed]), session_of_db)
    (found,) = index.observations().values()
    assert (found.obs_id, found.stop) == (f"obs_{SLOT}_{session}", None)
    assert not load_smurf._file_has_end_frames(str(files[closed]))
    streamer.close(NOW + 3)
    assert load_smurf._file_has_end_frames(str(files[still_open]))


def test_the_index_loads_by_time(tmp_path: Path, index: Index) -> None:
    record(tmp_path)
    second = record(tmp_path, start_s=NOW + 60.0)
    index.read()
    assert len(index.observations()) == 2
    loaded = index.smurf.load_data(second + 1, second + 3, stream_id=SLOT, show_pb=False)
    written = stretch(NOW + 60.0, 0, 1200)
    first = int(np.searchsorted(written.time_ns, loaded.primary.UnixTime[0]))
    assert loaded.timestamps[0] == pytest.approx(second + 1, abs=1 / FS)
    assert loaded.timestamps[-1] == pytest.approx(second + 3, abs=3 / FS)  # sotodlib leaves the last sample out
    expected = written.counts[:, first : first + loaded.samps.count] * np.pi / 2**15
    np.testing.assert_allclose(loaded.signal, expected, rtol=1e-6)


def test_detectors_have_names_by_the_tune_that_a_slot_starts_with(tmp_path: Path, index: Index) -> None:
    detectors = population(seed=1, n=300)
    resonators = resonators_of(detectors, seed=1)
    tones = tuned([BandModel(band, resonators) for band in range(8)], detectors)
    folders = Folders.below(tmp_path / "site")
    write_site(folders, {SLOT: SLOT})
    tune = write_slot(folders, SLOT, tones, {}, {})
    # The archive has what an operation published in the operation's own folder.
    outputs = index.tunes / tune.name[:5] / SLOT / f"{tune.name[:10]}_uxm_setup" / "outputs"
    shutil.copytree(tune.parent, outputs)
    held = registers() | {
        TUNE_PATH: str(tune),
        MASK: detectors.absolute_channel.astype(np.int32)[: len(CHANNELS)],
        **{band_register(band, CENTERS): tones.center_mhz[band] for band in range(8)},
    }
    session = record(tmp_path, held=held)
    index.smurf.index_metadata(stop_at_error=True, session=index.session)
    index.read()

    observation = index.observations()[f"obs_{SLOT}_{session}"]
    (tuneset,) = observation.tunesets
    assert len(tuneset.channels) == np.count_nonzero(tones.power)
    loaded = index.smurf.load_data(NOW, NOW + 10, stream_id=SLOT, show_pb=False)
    assert loaded.det_info.readout_id.tolist() == [
        f"sch_{SLOT}_{tune.name[:10]}_{band}_{channel:03d}"
        for band, channel in (divmod(absolute, 512) for absolute in held[MASK].tolist())
    ]
    assigned = {(channel.band, channel.channel): channel.frequency for channel in tuneset.channels}
    smurf = loaded.det_info.smurf
    for band, channel, frequency_mhz in zip(smurf.band, smurf.channel, smurf.res_frequency, strict=True):
        assert assigned[band, channel] == pytest.approx(frequency_mhz, abs=1e-4)
