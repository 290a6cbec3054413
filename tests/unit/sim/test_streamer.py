"""The frames of a session, read back from its files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("so3g", reason="needs so3g (pip install smurfq[slot])")

from spt3g import core

from smurfq.errors import StreamError
from smurfq.sim.samples import PRIMARY_NAMES, Samples
from smurfq.sim.stream_options import StreamOptions
from smurfq.sim.streamer import STREAM_OPEN_KEY, Streamer

NOW = 1_700_000_000.25
STATUS: dict[str, int | float | str] = {
    "AMCc.SmurfProcessor.ChannelMapper.NumChannels": 3,
    "AMCc.SmurfProcessor.SOStream.stream_tag": "obs,stream",
}
FS = 200
TICK_NS = 10


@pytest.fixture
def streamer(tmp_path: Path) -> Streamer:
    return Streamer(tmp_path, "crate1slot2", crate=1, slot=2)


def samples(first: int, count: int, channels: int = 3) -> Samples:
    """Samples ``first`` and on of a stream that begins at NOW."""
    at = np.arange(first, first + count, dtype=np.int64)
    return Samples(
        time_ns=round(NOW * 1e9) + at * (10**9 // FS),
        counts=np.array(at * 1001 + 2**25 * np.arange(channels)[:, None], np.int32),
        tes_biases=np.broadcast_to(np.arange(12, dtype=np.int32)[:, None], (12, count)),
        frame_counter=at * 20,
        relays=np.zeros(count, np.int64),
    )


def frames(folder: Path) -> list[list[Any]]:
    """The frames of each file below a folder."""
    return [list(core.G3File(str(path))) for path in sorted(folder.rglob("*.g3"))]


def status_of(frame: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(frame["status"])
    return found


def test_a_session_is_framed_by_its_start_and_end(streamer: Streamer, tmp_path: Path) -> None:
    session = streamer.open(NOW, STATUS, StreamOptions(agg_time_s=0.5))
    assert session == streamer.session_id == 1_700_000_000
    assert streamer.filepath == str(tmp_path / "17000/crate1slot2/1700000000_000.g3")
    for first in range(0, 250, 10):
        streamer.write(samples(first, 10))
    streamer.close(NOW + 1.25)
    assert (streamer.session_id, streamer.filepath) == (0, "")

    (found,) = frames(tmp_path)
    kinds = [str(frame.type) for frame in found]
    assert kinds == ["Observation", "Wiring", "Scan", "Scan", "Scan", "Wiring", "Observation"]
    assert [found[0]["stream_placement"], found[-1]["stream_placement"]] == ["start", "end"]
    assert status_of(found[1]) == {**STATUS, STREAM_OPEN_KEY: 1}
    assert (found[1]["dump"], found[-2]["dump"]) == (1, 0)
    assert status_of(found[-2]) == {STREAM_OPEN_KEY: 0}
    assert [frame["frame_num"] for frame in found] == list(range(7))
    for frame in found:
        assert frame["sostream_version"] == 2
        assert frame["sostream_id"] == "crate1slot2"
        assert frame["session_id"] == session
    times_s = [frame["time"].time / core.G3Units.s for frame in found]
    assert times_s[0] == NOW
    assert times_s[-1] == NOW + 1.25
    assert times_s == sorted(times_s)


@pytest.mark.parametrize("compressed", [True, False])
def test_the_data_come_back_as_they_were_written(streamer: Streamer, tmp_path: Path, compressed: bool) -> None:
    streamer.open(NOW, STATUS, StreamOptions(compressed=compressed, agg_time_s=0.1))
    written = samples(0, 21)
    streamer.write(written)
    streamer.close(NOW + 1)
    scan = frames(tmp_path)[0][2]
    assert scan["num_samples"] == 21
    assert dict(scan["slow_primary"]) == {"Version": 1, "CrateID": 1, "SlotNumber": 2}
    assert scan["timing_paradigm"] == "Low Precision"
    data, biases, primary = (scan[name] for name in ("data", "tes_biases", "primary"))
    assert list(data.names) == ["r0000", "r0001", "r0002"]
    assert (data.data.dtype, biases.data.dtype, primary.data.dtype) == (np.int32, np.int32, np.int64)
    np.testing.assert_array_equal(data.data, written.counts)
    assert list(biases.names) == [f"bias{line:02d}" for line in range(16)]
    np.testing.assert_array_equal(biases.data[:12], written.tes_biases)
    assert list(primary.names) == list(PRIMARY_NAMES)
    np.testing.assert_array_equal(primary.data[0], written.time_ns)
    np.testing.assert_array_equal(primary.data[7], written.frame_counter)
    for stream in (data, biases, primary):
        np.testing.assert_array_equal([time.time for time in stream.times], written.time_ns // TICK_NS)


def test_compression_makes_files_smaller(streamer: Streamer, tmp_path: Path) -> None:
    sizes = []
    for second, compressed in enumerate((True, False)):
        streamer.open(NOW + second, STATUS, StreamOptions(compressed=compressed))
        path = Path(streamer.filepath)
        streamer.write(samples(0, 2000, channels=20))
        streamer.close(NOW + second)
        sizes.append(path.stat().st_size)
    assert sizes[0] < 0.7 * sizes[1]


@pytest.mark.parametrize("agg_time_s", [0.1, 0.5, 2.0])
def test_a_frame_takes_up_the_aggregation_time(streamer: Streamer, tmp_path: Path, agg_time_s: float) -> None:
    streamer.open(NOW, STATUS, StreamOptions(agg_time_s=agg_time_s))
    for first in range(0, 2000, 10):
        streamer.write(samples(first, 10))
    streamer.close(NOW + 10)
    scans = [frame for frame in frames(tmp_path)[0] if frame.type == core.G3FrameType.Scan]
    assert {frame["num_samples"] for frame in scans[:-1]} == {round(agg_time_s * FS)}
    assert sum(frame["num_samples"] for frame in scans) == 2000
    counters = np.concatenate([frame["primary"].data[7] for frame in scans])
    np.testing.assert_array_equal(counters, np.arange(2000) * 20)


def test_a_long_session_has_several_files(streamer: Streamer, tmp_path: Path) -> None:
    session = streamer.open(NOW, STATUS, StreamOptions(agg_time_s=0.5, file_duration_s=2.0))
    for first in range(0, 1000, 50):
        streamer.write(samples(first, 50))
    assert streamer.filepath.endswith(f"{session}_002.g3")
    streamer.close(NOW + 5)
    assert [path.name for path in sorted(tmp_path.rglob("*"))[2:]] == [f"{session}_{n:03}.g3" for n in range(3)]
    found = frames(tmp_path)
    # No header in the later files, and no end but in the last, as the real rotator leaves them.
    assert [str(frame.type) for frame in found[1]] == ["Scan"] * len(found[1])
    assert [str(frame.type) for frame in found[2]][-2:] == ["Wiring", "Observation"]
    numbers = [frame["frame_num"] for part in found for frame in part]
    assert numbers == list(range(len(numbers)))
    counters = np.concatenate(
        [frame["primary"].data[7] for part in found for frame in part if frame.type == core.G3FrameType.Scan]
    )
    np.testing.assert_array_equal(counters, np.arange(1000) * 20)


def test_each_file_is_reported_when_it_is_complete(tmp_path: Path) -> None:
    complete: list[tuple[str, int]] = []

    def note(path: str) -> None:
        complete.append((path, sum(1 for _ in core.G3File(path))))

    streamer = Streamer(tmp_path, "crate1slot2", crate=1, slot=2, on_file=note)
    session = streamer.open(NOW, STATUS, StreamOptions(agg_time_s=0.5, file_duration_s=2.0))
    for first in range(0, 500, 50):
        streamer.write(samples(first, 50))
    assert [Path(path).name for path, _ in complete] == [f"{session}_000.g3"]
    streamer.close(NOW + 3)
    assert complete == [(str(path), sum(1 for _ in core.G3File(str(path)))) for path in sorted(tmp_path.rglob("*.g3"))]


def test_other_channels_make_another_frame(streamer: Streamer, tmp_path: Path) -> None:
    streamer.open(NOW, STATUS)
    streamer.write(samples(0, 10, channels=3))
    streamer.write(samples(10, 10, channels=5))
    streamer.close(NOW + 1)
    assert [len(frame["data"].names) for frame in frames(tmp_path)[0][2:4]] == [3, 5]


def test_only_what_changed_of_the_status_is_noted(streamer: Streamer, tmp_path: Path) -> None:
    streamer.open(NOW, STATUS)
    streamer.update(NOW + 1, STATUS)
    streamer.update(NOW + 2, {**STATUS, "AMCc.SmurfProcessor.Filter.Disable": 1, STREAM_OPEN_KEY: 0})
    streamer.update(NOW + 3, {**STATUS, "AMCc.SmurfProcessor.Filter.Disable": 1})
    streamer.close(NOW + 4)
    wirings = [status_of(frame) for frame in frames(tmp_path)[0] if frame.type == core.G3FrameType.Wiring]
    assert wirings[1:] == [{"AMCc.SmurfProcessor.Filter.Disable": 1}, {STREAM_OPEN_KEY: 0}]


def test_two_sessions_of_one_second_share_nothing(streamer: Streamer, tmp_path: Path) -> None:
    first = streamer.open(NOW, STATUS)
    streamer.close(NOW)
    second = streamer.open(NOW, STATUS)
    streamer.close(NOW)
    assert (first, second) == (1_700_000_000, 1_700_000_001)
    assert [part[0]["session_id"] for part in frames(tmp_path)] == [first, second]


def test_high_precision_is_marked_and_counts(streamer: Streamer, tmp_path: Path) -> None:
    streamer.open(NOW, STATUS, StreamOptions(high_precision=True))
    streamer.write(samples(0, 300))
    streamer.close(NOW + 2)
    scan = frames(tmp_path)[0][2]
    assert scan["timing_paradigm"] == "High Precision"
    counter0 = scan["primary"].data[3]
    assert set(np.diff(counter0).tolist()) == {2400, 2400 - 480_000}


def test_calls_out_of_order_are_rejected(streamer: Streamer, tmp_path: Path) -> None:
    streamer.close(NOW)
    with pytest.raises(StreamError, match="open a session"):
        streamer.write(samples(0, 1))
    with pytest.raises(StreamError, match="open a session"):
        streamer.update(NOW, STATUS)
    streamer.open(NOW, STATUS)
    with pytest.raises(StreamError, match="close session 1700000000 first"):
        streamer.open(NOW + 1, STATUS)
    streamer.close(NOW)


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StreamError, match=r"crate1slot2 cannot write .*17000/crate1slot2/1700000000_000\.g3"):
        Streamer(blocked, "crate1slot2", crate=1, slot=2).open(NOW, STATUS)


def test_a_full_disk_is_reported_and_the_session_ends_all_the_same(streamer: Streamer, tmp_path: Path) -> None:
    streamer.open(NOW, STATUS, StreamOptions(file_duration_s=1.0, agg_time_s=0.1))
    (tmp_path / "17000/crate1slot2/1700000000_001.g3").symlink_to("/dev/full")
    with pytest.raises(StreamError, match=r"crate1slot2 cannot write .*_001\.g3: .*is the disk full\?"):
        streamer.write(samples(0, 2000, channels=50))
        streamer.write(samples(2000, 2000, channels=50))
    with pytest.raises(StreamError, match="is the disk full"):
        streamer.close(NOW + 20)
    assert streamer.session_id == 0
    assert streamer.open(NOW + 30, STATUS) == 1_700_000_030
    streamer.close(NOW + 31)
