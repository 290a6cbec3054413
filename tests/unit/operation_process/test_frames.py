"""Frames of an operation: what a session sends is let through, and nothing else."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import pytest

from smurfq.config import load
from smurfq.operation_process import frames
from smurfq.operation_process.session import Session
from smurfq.operation_process.wire import MalformedFrameError


def test_all_frames_of_a_session_are_accepted() -> None:
    sent: list[Any] = []
    session = Session(
        emit=lambda event: sent.append(frames.check(event)),
        flag=mmap.mmap(-1, 1),
        settings=load({}),
        slot="crate1slot2",
        session_id="id",
        op_name="take_iv",
        params={},
    )
    session.data["x"] = np.arange(3)
    session.data = {"timestamps": [["biasing", 12.5]], "y": float("nan")}
    session.data.observe({"last_updated": 1.0, "z": 2}, clock="last_updated")
    del session.data["y"]
    session.data.clear()
    session.add_message(ValueError("any object"))
    session.stage("biasing")
    session.stage(3)  # type: ignore[arg-type]
    session.feed("iv_results", {"r_n": np.float64(7.5)})
    session.header(software={"pysmurf": "7"}, simulated=True)
    session.header(tunefile=None)
    session.degraded = True
    session.note_card({"bias_dacs": [0, 1], "streaming": None})
    session.note_card(None)
    assert {frame["k"] for frame in sent} == {"data", "message", "stage", "feed", "header", "card"}


@pytest.mark.parametrize(
    "frame",
    [
        None,
        [],
        "result",
        {},
        {"k": ["result"]},
        {"k": "log", "t": 1.0, "text": "only the worker says what was printed"},
        {"k": "result"},
        {"k": "result", "ok": 1},
        {"k": "result", "ok": False},
        {"k": "message", "text": "without a time"},
        {"k": "message", "t": float("inf"), "text": "x"},
        {"k": "message", "t": 1e300, "text": "x"},
        {"k": "message", "t": 1.0, "text": ["x"]},
        {"k": "message", "t": 1.0, "text": "x", "more": 1},
        {"k": "data", "t": 1.0, "set": []},
        {"k": "data", "t": 1.0, "remove": "xy"},
        {"k": "header", "t": 1.0, "set": {"outcome": "succeeded"}},
        {"k": "header", "t": 1.0, "set": {"degraded": "yes"}},
        {"k": "card", "t": 1.0, "state": {"bias_dacs": "x", "tones": 5}},
        {"k": "feed", "t": 1.0, "name": "", "slot": "crate1slot2", "data": {}},
        {"k": "feed", "t": 1.0, "name": "\ud800", "slot": "crate1slot2", "data": {}},
    ],
)
def test_a_malformed_frame_is_rejected(frame: Any) -> None:
    with pytest.raises(MalformedFrameError):
        frames.check(frame)
