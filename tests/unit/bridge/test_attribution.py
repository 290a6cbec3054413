"""Which run gets a message, and what a batch changes in the records and in what the bridge knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smurfq.bridge.attribution import (
    RECENT_S,
    ArrivedMessage,
    Changes,
    PublisherRuns,
    RunState,
    attribute,
    owner,
    sent_at,
)
from smurfq.core.messages import Message
from smurfq.core.sequence import Sequences
from smurfq.store.fence import Ran, Running

SLOT = "crate1slot2"
HOUR_S = 3600.0
EARLIER = Ran("earlier", "server", 1000.0, 1900.0)


def message(time: float, host: str = "server") -> Message:
    return Message(host, SLOT, "a script", time, 1, "session_log", "hello")


def known_runs(states: Mapping[str, RunState], *, bridge: str = "server", started: float = 2000.0) -> PublisherRuns:
    """``earlier`` ran from 1000 to 1900 s, ``runs`` runs since ``started``."""
    running = Running("runs", "run", SLOT, SLOT, "server", "lease", started)
    return PublisherRuns(bridge, {SLOT: running}, {SLOT: [EARLIER]}, states, {})


def owner_of(
    sent: Message, arrival: float, *, now: float | None = None, bridge: str = "server", started: float = 2000.0
) -> str | None:
    known = known_runs({}, bridge=bridge, started=started)
    return owner(sent, SLOT, arrival, known, arrival if now is None else now)


def test_the_kernels_time_counts_and_not_the_publishers_clock() -> None:
    for off_s in (-HOUR_S, 0.0, HOUR_S):
        assert owner_of(message(2100.0 + off_s), 2100.0) == "runs"
        assert owner_of(message(1500.0 + off_s), 1500.0, now=2100.0) == "earlier"
        assert owner_of(message(1950.0 + off_s), 1950.0, now=2100.0) is None


def test_times_are_ignored_if_the_clock_was_set_back_during_the_run() -> None:
    assert owner_of(message(1500.0), 1500.0, started=1500.0 + HOUR_S) == "runs"


def test_a_bridge_on_another_host_trusts_what_it_sees_for_a_moment_and_then_the_publisher() -> None:
    for off_s in (-HOUR_S, 0.0, HOUR_S):
        assert owner_of(message(2100.0 + off_s), 5000.0, bridge="elsewhere") == "runs"
    late = 5000.0 + 2 * RECENT_S
    assert owner_of(message(1500.0), 5000.0, now=late, bridge="elsewhere") == "earlier"
    assert owner_of(message(2100.0), 5000.0, now=late, bridge="elsewhere") == "runs"
    assert owner_of(message(1500.0, "a third"), 5000.0, now=late, bridge="elsewhere") == "runs"


def test_when_a_message_was_sent_is_known_by_the_host_whose_clock_is_asked_for() -> None:
    assert sent_at(message(1.0), 2.0, "server", "server") == 2.0
    assert sent_at(message(1.0), 2.0, "server", "elsewhere") == 1.0
    assert sent_at(message(1.0, "a third"), 2.0, "server", "elsewhere") is None


class Bridge:
    """The state that a bridge keeps between batches."""

    def __init__(self, state: RunState) -> None:
        self.states = {"runs": state}
        self.sequences = Sequences()

    def attribute(self, *numbers: int, payload: Any = "text", kind: str = "session_log", notice: str = "") -> Changes:
        batch = [
            ArrivedMessage(b"", 2001.0, Message("server", SLOT, "a script", float(number), number, kind, payload), SLOT)
            for number in numbers
        ]
        return attribute(batch, known_runs(self.states), self.sequences, 2002.0, notice)

    def commit(self, changes: Changes) -> None:
        self.sequences.commit(changes.sequences)
        self.states.update((task_id, change.written()) for task_id, change in changes.runs.items())


def kinds(changes: Changes) -> list[str]:
    return [event["k"] for event in changes.runs["runs"].events]


def test_the_count_of_missing_messages_is_written_only_when_it_changed() -> None:
    bridge = Bridge(RunState("runs"))
    changes = bridge.attribute(0, 4)
    assert kinds(changes) == ["message", "message", "header"]
    assert changes.runs["runs"].events[-1]["set"] == {"lost": 3}
    assert changes.lost == 3
    bridge.commit(changes)
    assert kinds(bridge.attribute(5)) == ["message"]
    changes = bridge.attribute(2)
    assert changes.runs["runs"].events[-1]["set"] == {"lost": 2}
    assert changes.lost == -1


def test_missing_messages_are_counted_on_from_what_an_earlier_bridge_wrote() -> None:
    bridge = Bridge(RunState("runs", lost=5))
    assert kinds(bridge.attribute(0)) == ["message"]
    assert bridge.attribute(0, 2).runs["runs"].events[-1]["set"] == {"lost": 6}


def test_a_publisher_first_heard_in_the_middle_is_said_before_its_message() -> None:
    texts = [event.get("text") for event in Bridge(RunState("runs")).attribute(12).runs["runs"].events]
    assert texts == [
        "publisher a script was first heard at its message 12; those before are missing",
        "text",
        None,
    ]


def test_each_stage_is_written_once_though_its_list_grows() -> None:
    bridge = Bridge(RunState("runs"))
    first, second = ["setup_amps", 1.0], ["noise", 2.0]
    changes = bridge.attribute(0, payload={"timestamps": [first]}, kind="session_data")
    assert kinds(changes) == ["data", "stage"]
    bridge.commit(changes)
    changes = bridge.attribute(1, payload={"timestamps": [first, second]}, kind="session_data")
    assert [event["name"] for event in changes.runs["runs"].events if event["k"] == "stage"] == ["noise"]


def test_a_payload_of_the_wrong_type_is_described_and_counted_as_a_message() -> None:
    changes = Bridge(RunState("runs")).attribute(0, payload=[1], kind="session_data")
    assert changes.malformed == ["session_data of crate1slot2, script a script; see the record runs"]
    assert changes.runs["runs"].messages == 1


def test_written_and_rejected_messages_are_counted_apart() -> None:
    change = Bridge(RunState("runs", applied=10, refused=20)).attribute(0, 1).runs["runs"]
    assert (change.written().applied, change.written().refused) == (12, 20)
    assert (change.rejected().applied, change.rejected().refused) == (10, 22)


def test_a_message_that_adds_nothing_is_not_expected_in_the_record() -> None:
    changes = Bridge(RunState("runs")).attribute(0, payload={}, kind="session_data")
    assert (changes.runs, changes.empty) == ({}, 1)


def test_a_notice_comes_after_the_messages_and_is_none_of_them() -> None:
    change = Bridge(RunState("runs")).attribute(0, notice="dropped").runs["runs"]
    assert [event["text"] for event in change.events] == ["text", "dropped"]
    assert change.messages == 1


def test_a_message_of_a_run_of_which_nothing_is_known_belongs_to_none() -> None:
    bridge = Bridge(RunState("runs"))
    bridge.states.clear()
    changes = bridge.attribute(0, notice="dropped")
    assert changes.unowned == [(SLOT, 2001.0)]
    assert not changes.runs


def closed(session: int, number: int = 1, **changed: Any) -> ArrivedMessage:
    """The smurf server says that it has closed the file of a g3 session."""
    payload = {"path": f"/data/timestreams/00001/ufm_mv9/{session}_000.g3", "archive_name": "timestreams"}
    message = Message("server", "STREAMER:ufm_mv9", "undeclared", 3000.0, number, "g3_file", payload)
    return ArrivedMessage(b"", 3000.0, message._replace(**changed), SLOT, server=True)


def assigned(*batch: ArrivedMessage) -> Changes:
    states = {"runs": RunState("runs"), "earlier": RunState("earlier")}
    return attribute(batch, known_runs(states), Sequences(), 3000.0)


def test_a_g3_file_belongs_to_the_run_whose_stream_wrote_it() -> None:
    for session, task_id in ((2000, "runs"), (2500, "runs"), (1000, "earlier"), (1900, "earlier")):
        changes = assigned(closed(session))
        (event,) = changes.runs[task_id].events
        assert event["file"]["path"].endswith(f"/{session}_000.g3")
        assert event["file"]["kind"] == "g3_file"
        assert changes.runs[task_id].messages == 0, "it is none of the run's own messages"
        assert [file.task_id for file in changes.g3_files] == [task_id]


def test_a_g3_file_of_somebody_elses_stream_belongs_to_the_slot() -> None:
    changes = assigned(closed(1950))
    assert (changes.runs, changes.unowned, changes.malformed) == ({}, [], [])
    assert [(file.publisher, file.task_id) for file in changes.g3_files] == [(SLOT, None)]


def test_a_g3_file_without_a_session_or_a_path() -> None:
    changes = assigned(closed(0, payload={"path": "/data/else.g3"}), closed(0, 2, payload={"path": 5}))
    assert [file.path for file in changes.g3_files] == ["/data/else.g3"]
    assert changes.malformed == ["g3_file of STREAMER:ufm_mv9: the payload has no path"]
    assert changes.runs == {}


def test_lost_messages_of_a_smurf_server_are_not_a_runs() -> None:
    changes = assigned(closed(2100, 0), closed(2100, 4))
    assert changes.lost == 3
    assert changes.runs["runs"].lost == 0
    assert assigned(closed(2100, type="start", payload={})).runs == {}


def test_the_messages_of_files_are_kept_for_the_archive_whether_a_run_published_them_or_not() -> None:
    bridge = Bridge(RunState("runs"))
    changes = bridge.attribute(1, 2, 2, payload={"path": "/a"}, kind="data_file")
    assert [(file.task_id, file.payload, file.publisher) for file in changes.files] == [
        ("runs", {"path": "/a"}, SLOT),
        ("runs", {"path": "/a"}, SLOT),
    ]
    assert bridge.attribute(3).files == []
    bridge.states.clear()
    assert [file.task_id for file in bridge.attribute(4, payload={"path": "/a"}, kind="g3_file").files] == [None]
