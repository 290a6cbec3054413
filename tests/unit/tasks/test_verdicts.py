"""What sodetlib returns is looked at: it reports failure by a value, and hides that of an analysis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smurfq.errors import OperationAbortedError, OperationFailedError
from smurfq.tasks.analysis import is_analysed
from smurfq.tasks.keywords import keywords
from smurfq.tasks.setup import _left_by, _note_bgmap, _summary_of_success, _without_resonators
from smurfq.tasks.task import BODIES


def test_test_leaves_its_data(recorded: Any) -> None:
    session = recorded("test")
    BODIES["test"](session.session)
    assert session.record().data == {"test": 10}


def test_own_parameters_win_over_kwargs_and_those_not_given_are_left_to_sodetlib() -> None:
    assert keywords({"nperseg": 5, "g3_tag": "x"}, g3_tag="y", acq_time=3.0, bands=None) == {
        "nperseg": 5,
        "g3_tag": "y",
        "acq_time": 3.0,
    }
    assert keywords(None, g3_tag=None) == {}
    assert keywords({"g3_tag": "x"}, g3_tag=None) == {"g3_tag": "x"}


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


def test_bands_in_which_nothing_was_found_are_told_apart_from_those_that_were_not_searched() -> None:
    responses = {0: {"lock_status": {}}, 1: {"find_freq": {"resonance": []}}, 2: {"find_freq": {"resonance": [5.1]}}}
    assert _without_resonators(SimpleNamespace(freq_resp=responses)) == [1]
