"""Failures that sodetlib reports only by a return value become errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smurfq.errors import OperationAbortedError, OperationFailedError
from smurfq.operation_process.analysis import is_analysed
from smurfq.tasks import test as trial
from smurfq.tasks.setup import _check_tuned, _left_by, _note_bgmap, _summary_of_success, _without_resonators


def test_test_leaves_its_data(recorded: Any) -> None:
    session = recorded("test")
    trial.body(session.session)
    assert session.record().data == {"test": 10}


def test_a_setup_that_reports_failure_fails_and_keeps_its_summary(recorded: Any) -> None:
    session = recorded("uxm_setup")
    summary = {
        "timestamps": [("setup_amps", 1.0), ("setup_tune", 2.0)],
        "setup_amps": {"success": True, "amp_50k_Id": float("nan")},
        "sweep": list(range(100_000)),
    }
    with pytest.raises(OperationFailedError, match="failed at stage setup_tune"):
        _summary_of_success(session.session, (False, summary))
    assert session.record().data["summary"] == {
        "timestamps": [["setup_amps", 1.0], ["setup_tune", 2.0]],
        "setup_amps": {"success": True, "amp_50k_Id": None},
        "sweep": "<list, left out>",
    }


def test_a_setup_that_reports_success_succeeds(recorded: Any) -> None:
    session = recorded("uxm_setup")
    assert _summary_of_success(session.session, (True, {"a": 1})) == {"a": 1}
    assert session.record().data == {}


def test_a_relock_whose_bias_group_map_failed_is_degraded(recorded: Any) -> None:
    session = recorded("uxm_relock")
    _note_bgmap(session.session, SimpleNamespace(R0=[1.0], filepath="/f.npy"))
    assert session.events == []
    _note_bgmap(session.session, SimpleNamespace(R0=[1.0]))
    assert session.record().degraded is True
    assert "take_bgmap" in session.record().messages[0][1]


ANALYSED = {"R0": [1.0], "filepath": "/f.npy", "sid": 12, "run_kwargs": {"run_analysis": True}}


@pytest.mark.parametrize("missing", ["R0", "filepath"])
def test_an_analysis_that_is_not_there_fails(recorded: Any, missing: str) -> None:
    session = recorded("take_bias_steps")
    analysis = SimpleNamespace(**{name: value for name, value in ANALYSED.items() if name != missing})
    with pytest.raises(OperationFailedError, match="stream 12 was taken, but its analysis failed"):
        is_analysed(session.session, analysis, "R0")
    assert session.record().data == {"sid": 12}


def test_an_analysis_that_is_not_there_after_an_abort_is_an_abort(recorded: Any) -> None:
    session = recorded("take_bias_steps")
    session.ask_abort()
    with pytest.raises(OperationAbortedError):
        is_analysed(session.session, SimpleNamespace(sid=12), "R0")


def test_an_analysis_that_nobody_asked_for_is_not_missed(recorded: Any) -> None:
    session = recorded("take_bias_steps")
    taken = SimpleNamespace(sid=12, run_kwargs={"run_analysis": False})
    assert not is_analysed(session.session, taken, "R0")
    assert session.record().data == {"sid": 12}
    assert "no analysis" in session.record().messages[0][1]
    assert is_analysed(session.session, SimpleNamespace(**ANALYSED), "R0")


def test_a_setup_that_raises_keeps_its_summary() -> None:
    def uxm_setup() -> None:
        summary = {"timestamps": [("setup_amps", 1.0)]}
        raise IndexError(len(summary))

    with pytest.raises(IndexError) as caught:
        uxm_setup()
    assert _left_by(caught.value, "uxm_setup") == {"timestamps": [("setup_amps", 1.0)]}
    assert _left_by(caught.value, "uxm_relock") == {}


def test_bands_without_resonators_differ_from_bands_that_were_not_searched() -> None:
    responses = {0: {"lock_status": {}}, 1: {"find_freq": {"resonance": []}}, 2: {"find_freq": {"resonance": [5.1]}}}
    assert _without_resonators(SimpleNamespace(freq_resp=responses)) == [1]


def test_a_band_that_the_tune_lacks_is_named_before_anything_is_turned_off(recorded: Any) -> None:
    session = recorded("uxm_relock").session
    control = SimpleNamespace(freq_resp={0: {"resonances": {}}, 4: {"lock_status": {}}}, tune_file="/a/tune.npy")
    _check_tuned(session, control, [0])
    with pytest.raises(OperationFailedError, match=r"the tune has no band 4, 7; it has 0 \(/a/tune.npy\)") as raised:
        _check_tuned(session, control, [0, 4, 7])
    assert (raised.value.fields["bands"], raised.value.fields["needs"]) == ([4, 7], "uxm_setup")
