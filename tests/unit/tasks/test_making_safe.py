"""After a run of the state lane, nothing is made safe, since an operation of the control lane may be running."""

from __future__ import annotations

from typing import Any

import pytest

from smurfq.tasks.making_safe import make_safe


def test_the_state_lane_leaves_the_card_alone(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMURFPUB_ID", "crate1slot2.state")
    session = recorded("check_state")
    make_safe(session.session)
    assert session.record().data == {"text": "the state lane only reads"}


def test_a_stage_is_reported_once_when_sodetlib_begins_it(recorded: Any) -> None:
    session = recorded("uxm_setup")
    timestamps: list[Any] = []
    for at, name in enumerate(["setup_amps", "setup_tune"]):
        timestamps.append((name, float(at)))
        session.session.data["timestamps"] = timestamps
        session.session.data["noise"] = at
    stages = [event["name"] for event in session.events if event["k"] == "stage"]
    assert stages == ["setup_amps", "setup_tune"]
