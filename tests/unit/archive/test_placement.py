"""Where a file goes in the archive: as socs's own monitor decides, but never outside the archive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.archive.placement import place
from smurfq.errors import MessageError
from smurfq.store.archive_list import FileMessage

DATA = Path("/data/smurf_data")
REGISTERED = {
    "path": "/data/smurf_data/20261128/ufm_mv9/1795862400/outputs/1795862401_noise.npy",
    "type": "noise",
    "format": "npy",
    "timestamp": 1795862401.25,
    "action": "take_noise",
    "action_ts": 1795862400,
    "plot": False,
    "pysmurf_version": "10.3.4",
}


def message(publisher: str = "ufm_mv9", **changed: Any) -> FileMessage:
    return FileMessage(publisher, {**REGISTERED, **changed}, 0.0, None)


def test_a_file_of_pysmurf_goes_below_its_day_publisher_and_action() -> None:
    found = place(message(), DATA)
    assert found.remote_path == "17958/ufm_mv9/1795862400_take_noise/outputs/1795862401_noise.npy"
    assert found.archive == "smurf"
    assert found.local_path == REGISTERED["path"]
    assert place(message(plot=True), DATA).remote_path.split("/")[3] == "plots"


def test_numpys_ending_is_added_if_the_message_lacks_it() -> None:
    found = place(message(path="/data/smurf_data/tune/1795862401_tune"), DATA)
    assert found.local_path == "/data/smurf_data/tune/1795862401_tune.npy"
    assert found.remote_path.endswith("/outputs/1795862401_tune.npy")


def test_a_g3_file_keeps_its_day_stream_and_name() -> None:
    path = "/data/so/timestreams/17958/ufm_mv9/1795862401_000.g3"
    payload = {"path": path, "archive_name": "timestreams"}
    found = place(FileMessage("STREAMER:ufm_mv9", payload, 0.0, None), DATA)
    assert found == (path, "17958/ufm_mv9/1795862401_000.g3", "timestreams", True)


def test_files_of_the_state_lane_are_in_the_folder_of_their_stream() -> None:
    assert place(message("ufm_mv9.state"), DATA) == place(message("ufm_mv9"), DATA)


@pytest.mark.parametrize(
    ("path", "deletable"),
    [
        ("/data/smurf_data/20261128/ufm_mv9/1/outputs/noise.txt", True),
        ("/data/smurf_data/tune/noise.txt", False),
        ("/data/smurf_data/20261128/ufm_mv9/1/outputs/iv_analyze.txt", False),
        ("/data/smurf_data/20261128/ufm_mv9/1/outputs/tune.txt", False),
        ("/data/smurf_data/20261128/ufm_mv9/1/outputs/channel_assignment_b0.txt", False),
        ("/data/smurf_data/20261128/../tune/noise.txt", False),
        ("/data/other/20261128/noise.txt", False),
        ("/data/smurf_data", False),
    ],
)
def test_only_files_in_folders_of_a_day_that_nothing_reads_later_may_be_deleted(path: str, deletable: bool) -> None:
    assert place(message(path=path, format="txt"), DATA).deletable is deletable


def test_the_folder_of_the_data_is_a_setting() -> None:
    path = "/home/olivier/smurf/20261128/ufm_mv9/1/outputs/noise.txt"  # with "iv" in the folder of the site
    assert place(message(path=path), Path("/home/olivier/smurf")).deletable


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"path": 3}, "expected the absolute path of a file, got 3"),
        ({"path": "noise.npy"}, "expected the absolute path of a file, got 'noise.npy'"),
        ({"archive_name": "smrf"}, "archive_name is 'smrf'; the archives are 'smurf' and 'timestreams'"),
        ({"action": "a/../../etc"}, "cannot be part of the path"),
        ({"timestamp": ".."}, "cannot be part of the path"),
        ({"path": "/data/smurf_data/", "format": "txt"}, "cannot be part of the path"),
    ],
)
def test_a_message_without_a_place_is_rejected(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(MessageError) as caught:
        place(message(**changed), DATA)
    assert said in str(caught.value)


@pytest.mark.parametrize("payload", [None, "a text", [], {}])
def test_a_payload_without_a_path_is_rejected(payload: Any) -> None:
    with pytest.raises(MessageError, match="expected the absolute path"):
        place(FileMessage("ufm_mv9", payload, 0.0, None), DATA)


def test_what_is_missing_is_named() -> None:
    payload = {"path": "/data/x.txt", "timestamp": 1, "plot": False}
    with pytest.raises(MessageError, match="has no action_ts, action, which"):
        place(FileMessage("ufm_mv9", payload, 0.0, None), DATA)


names = st.text(st.characters(codec="ascii", exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda name: name not in (".", "..")
)
paths = st.lists(names, min_size=1, max_size=6).map(lambda parts: "/" + "/".join(parts))


@given(
    path=paths,
    archive=st.sampled_from([None, "smurf", "timestreams"]),
    timestamp=st.floats(1e9, 4e9) | st.integers(10**9, 4 * 10**9) | st.from_regex(r"\A\d{10}\Z"),
    action=st.none() | names,
    kind=st.sampled_from(["npy", "txt", ""]),
    plot=st.booleans(),
)
def test_the_place_is_the_monitors(
    path: str, archive: str | None, timestamp: Any, action: str | None, kind: str, plot: bool
) -> None:
    pytest.importorskip("socs", reason="needs socs (pip install smurfq[archive])")
    from socs.agents.pysmurf_monitor.agent import create_remote_path

    payload = {**REGISTERED, "path": path, "timestamp": timestamp, "action": action, "format": kind, "plot": plot}
    if archive is not None:
        payload["archive_name"] = archive
    found = place(FileMessage("ufm_mv9", payload, 0.0, None), DATA)
    meta = {**payload, "path": found.local_path, "pub_id": "ufm_mv9"}
    assert found.remote_path == create_remote_path(meta, archive or "smurf")
