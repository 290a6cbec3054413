"""The witness of a soak finds each breach that is planted, and none in what is as promised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.soak import witness
from tests.soak.witness import CHECKS, Ended, Evidence, Harm, Line, Submitted, Told

A, B = "crate1slot1", "crate1slot2"


def record(task_id: str, **more: Any) -> dict[str, Any]:
    return {
        "status": "done",
        "success": True,
        "outcome": "succeeded",
        "complete": True,
        "lost": 0,
        "data": {"k1": task_id},
        "messages": [[1.0, "publisher soak started"], [2.0, f"m2 {task_id}"]],
        "files": [
            *({"kind": "data_file", "path": f"/{task_id}-{number}", "registered": 3.0} for number in range(2)),
            {"kind": "data_file", "path": "/never-written", "missing": True},
            {"kind": "g3_file", "path": "/found-in-the-folder"},
        ],
        **more,
    }


def sound() -> Evidence:
    """Three operations on one slot, the third after the second, and one on another that was killed."""
    evidence = Evidence(journals={A: [], B: []})
    for number, task_id in enumerate(("one", "two", "three")):
        begun = 100.0 + 10 * number
        evidence.journals[A] += [
            Line("start", task_id, 7, begun),
            *(Line("sent", task_id, 7, begun + seq, str(seq)) for seq in range(3)),
            Line("stray", task_id, 8, begun + 4),
            Line("end", task_id, 7, begun + 5),
        ]
        evidence.submitted[task_id] = Submitted(task_id, A, "script", value=f"v-{task_id}")
        evidence.ended[task_id] = Ended("SUCCESS", {"log": f"value v-{task_id}\n"}, record(task_id), begun + 6)
        evidence.archived += [f"/{task_id}-{number}" for number in range(2)]
        evidence.told.append(Told(task_id, "get", "SUCCESS"))
        evidence.asked_to_tell.add((task_id, "get"))
    evidence.submitted["three"] = Submitted("three", A, "step", value="v-three", after=("two",))
    evidence.journals[B] = [Line("start", "killed", 9, 200.0), Line("sent", "killed", 9, 201.0, "0")]
    evidence.submitted["killed"] = Submitted("killed", B, "script", value="v-killed")
    evidence.ended["killed"] = Ended(
        "FAILURE",
        "lost",
        record("killed", success=False, outcome="lost", complete=None, data={}, messages=[], files=[]),
        210.0,
    )
    evidence.harms.append(Harm("kill -9 a lane", B, 201.5, 202.0))
    evidence.submitted["refused"] = Submitted("refused", B, "script", refused=True)
    evidence.ended["refused"] = Ended("PENDING")
    return evidence


def end_as(evidence: Evidence, task_id: str, state: str | None = None, **of_record: Any) -> None:
    before = evidence.ended[task_id]
    evidence.ended[task_id] = Ended(
        state or before.state, before.result, {**(before.record or {}), **of_record}, before.at
    )


def begun_again(evidence: Evidence) -> None:
    evidence.journals[B].append(Line("start", "one", 11, 300.0))


def begun_beside(evidence: Evidence) -> None:
    evidence.journals[A].insert(3, Line("start", "killed", 9, 101.5))


def left_a_stray(evidence: Evidence) -> None:
    evidence.journals[A].append(Line("stray", "one", 8, 111.0))


def woke_up_long_after(evidence: Evidence) -> None:
    evidence.journals[A].append(Line("sent", "one", 7, 125.0, "3"))


def still_runs(evidence: Evidence) -> None:
    end_as(evidence, "one", "PROGRESS", status="running")


def record_still_runs(evidence: Evidence) -> None:
    end_as(evidence, "one", status="running")


def accepted_and_forgotten(evidence: Evidence) -> None:
    evidence.submitted["refused"] = Submitted("refused", B, "script")


def refused_and_begun(evidence: Evidence) -> None:
    evidence.journals[B].append(Line("start", "refused", 12, 400.0))


def record_says_otherwise(evidence: Evidence) -> None:
    end_as(evidence, "one", success=False, outcome="failed")


def never_came_to_its_end(evidence: Evidence) -> None:
    evidence.journals[A] = [line for line in evidence.journals[A] if (line.task_id, line.what) != ("one", "end")]


def without_its_value(evidence: Evidence) -> None:
    evidence.ended["one"] = Ended("SUCCESS", {"log": ""}, record("one"), 106.0)


def ended_well_and_said_lost(evidence: Evidence) -> None:
    end_as(evidence, "one", "FAILURE", success=False, outcome="lost")
    evidence.told = [told for told in evidence.told if told.task_id != "one"]
    evidence.asked_to_tell.discard(("one", "get"))


def harmed_elsewhere(evidence: Evidence) -> None:
    evidence.harms = [Harm("kill -9 a lane", A, 201.5, 202.0)]


def harmed_long_before(evidence: Evidence) -> None:
    evidence.harms = [Harm("kill -9 a lane", B, 150.0, 152.0)]


def begun_before_its_turn(evidence: Evidence) -> None:
    evidence.submitted["two"] = Submitted("two", A, "step", value="v-two", after=("three",))


def message_missing(evidence: Evidence) -> None:
    end_as(evidence, "one", data={})


def message_missing_of_a_killed_one(evidence: Evidence) -> None:
    end_as(evidence, "killed", complete=True)


def data_of_another(evidence: Evidence) -> None:
    end_as(evidence, "one", data={"k1": "one", "k9": "two"})


def line_of_another(evidence: Evidence) -> None:
    end_as(evidence, "one", messages=[*record("one")["messages"], [3.0, "m5 two"]])


def not_told(evidence: Evidence) -> None:
    evidence.told.pop()


def told_wrongly(evidence: Evidence) -> None:
    evidence.told[0] = Told("one", "get", "FAILURE")


def told_nonsense(evidence: Evidence) -> None:
    evidence.told[0] = Told("one", "get", "RuntimeError:Retry_limit_exceeded")


def registered_again(evidence: Evidence) -> None:
    evidence.archived.append("/one-0")


def never_registered(evidence: Evidence) -> None:
    evidence.archived.remove("/one-1")


def registered_and_not_said(evidence: Evidence) -> None:
    end_as(evidence, "one", files=[{"kind": "data_file", "path": "/one-0", "registered": None}])


def registered_in_another_order(evidence: Evidence) -> None:
    evidence.archived.reverse()


def orphan(evidence: Evidence) -> None:
    evidence.orphans.append("process 4711 (sleeping): sleep 300")


PLANTED: list[tuple[str, Callable[[Evidence], None]]] = [
    ("run_twice", begun_again),
    ("two_at_once", begun_beside),
    ("two_at_once", left_a_stray),
    ("two_at_once", woke_up_long_after),
    ("without_end", still_runs),
    ("without_end", record_still_runs),
    ("without_end", accepted_and_forgotten),
    ("without_end", refused_and_begun),
    ("said_otherwise", record_says_otherwise),
    ("untrue_success", never_came_to_its_end),
    ("result_lost", without_its_value),
    ("failed_without_cause", ended_well_and_said_lost),
    ("failed_without_cause", harmed_elsewhere),
    ("failed_without_cause", harmed_long_before),
    ("out_of_turn", begun_before_its_turn),
    ("message_lost", message_missing),
    ("message_lost", message_missing_of_a_killed_one),
    ("message_of_another", data_of_another),
    ("message_of_another", line_of_another),
    ("told_otherwise", not_told),
    ("told_otherwise", told_wrongly),
    ("told_otherwise", told_nonsense),
    ("archived_twice", registered_again),
    ("not_archived", never_registered),
    ("not_archived", registered_and_not_said),
    ("not_archived", registered_in_another_order),
    ("left_behind", orphan),
]


def test_what_is_as_promised_is_no_breach() -> None:
    assert witness.breaches(sound()) == []


@pytest.mark.parametrize(("name", "plant"), PLANTED, ids=[plant.__name__ for _, plant in PLANTED])
def test_a_planted_breach_is_found(name: str, plant: Callable[[Evidence], None]) -> None:
    evidence = sound()
    plant(evidence)
    assert name in {breach.check for breach in witness.breaches(evidence)}


def test_every_check_has_a_breach_that_only_it_finds() -> None:
    """A check that finds nothing of its own could be taken away unnoticed."""
    alone = set()
    for _, plant in PLANTED:
        evidence = sound()
        plant(evidence)
        found = {breach.check for breach in witness.breaches(evidence)}
        alone |= found if len(found) == 1 else set()
    assert alone == set(CHECKS)


def test_messages_that_are_said_to_be_missing_are_no_breach() -> None:
    for said in ({"lost": 1}, {"complete": False}, {"complete": None}):
        evidence = sound()
        end_as(evidence, "one", data={}, **said)
        assert witness.breaches(evidence) == []


def test_a_journal_is_read_as_operations_write_it(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert witness.read(journal) == []
    journal.write_text("start t-1 17 12.500000 -\nsent t-1 17 12.600000 4\n")
    assert witness.read(journal) == [Line("start", "t-1", 17, 12.5), Line("sent", "t-1", 17, 12.6, "4")]
