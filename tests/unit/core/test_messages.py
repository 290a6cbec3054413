from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smurfq.core.messages import MAX_DEPTH, Drain, Message, drain_marker, is_drain, parse
from smurfq.core.publication import publication
from smurfq.core.session import SessionRecord
from smurfq.core.session_fold import Fold
from smurfq.errors import MessageError
from tests.site.bridge import DATAGRAM_BYTES

TYPES = ("start", "stop", "log", "general", "data_file", "g3_file", "session_data", "session_log", "session_logs")
ALL_TYPES = (*TYPES, "metadata", "backend_error", "of_a_script")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def datagram(**changed: Any) -> bytes:
    """A good message as the Publisher sends it, but for what is ``changed``."""
    good = {"host": "smurf-srv", "id": "crate1slot2", "script": "tune", "time": 1.5, "seq_no": 7, "type": "log"}
    return json.dumps({**good, "payload": {"message": "hello"}, **changed}).encode()


def records_made_of(message: Message) -> SessionRecord:
    fold = Fold(SessionRecord("t"))
    fold.add("w", 0, publication(message).events)
    return fold.finish()


def test_a_good_message_is_taken_as_it_is() -> None:
    assert parse(datagram()) == Message("smurf-srv", "crate1slot2", "tune", 1.5, 7, "log", {"message": "hello"})


@given(st.binary(max_size=300))
@example(b"")
@example(b"null")
@example(b"[]")
@example(b"\xff\xfe{}")
@example(b"[" * DATAGRAM_BYTES)
@example(b'{"type":"smurfq.drain"}')
@example(b'{"type":"smurfq.drain","id":1,"token":[]}')
@example(b"9" * 5000)
def test_any_bytes_are_a_message_or_a_message_error(came: bytes) -> None:
    try:
        assert isinstance(parse(came), Message | Drain)
    except MessageError as error:
        assert error.fields["bytes"] == len(came)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "host": JSON_VALUES,
            "id": JSON_VALUES,
            "script": JSON_VALUES,
            "time": JSON_VALUES | st.floats(0, 1e10),
            "seq_no": JSON_VALUES | st.integers(0, 10**6),
            "type": JSON_VALUES | st.sampled_from(ALL_TYPES),
            "payload": JSON_VALUES,
        },
    )
)
def test_any_json_of_the_right_keys_is_a_message_or_a_message_error(changed: dict[str, Any]) -> None:
    try:
        message = parse(datagram(**changed))
    except MessageError:
        return
    assert isinstance(message, Message)
    json.dumps(message.payload, allow_nan=False)


@given(st.sampled_from(ALL_TYPES), JSON_VALUES)
def test_every_payload_of_every_type_makes_events_that_can_be_written_and_folded(kind: str, payload: Any) -> None:
    message = parse(datagram(type=kind, payload=payload))
    assert isinstance(message, Message)
    events = publication(message).events
    json.dumps(events, allow_nan=False).encode()
    fold = Fold(SessionRecord("t"))
    assert fold.add("w", 0, events)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_becomes_null(token: str) -> None:
    message = parse(datagram(payload="@").replace(b'"@"', f'{{"a": [{token}]}}'.encode()))
    assert isinstance(message, Message)
    assert message.payload == {"a": [None]}


@pytest.mark.parametrize(
    "changed",
    [
        {"host": None},
        {"id": 3},
        {"script": ["x"]},
        {"script": "x" * 300},
        {"time": "now"},
        {"time": True},
        {"time": -1},
        {"time": math.nan},
        {"time": 1e300},
        {"time": 10**4000},
        {"seq_no": 1.0},
        {"seq_no": -1},
        {"seq_no": True},
        {"seq_no": 10**400},
        {"type": None},
    ],
)
def test_a_field_of_the_wrong_type_is_rejected_by_name(changed: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=next(iter(changed))):
        parse(datagram(**changed))


def test_a_message_without_payload_is_rejected() -> None:
    came = json.loads(datagram())
    del came["payload"]
    with pytest.raises(MessageError, match="payload"):
        parse(json.dumps(came).encode())


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_nesting_is_bounded_and_brackets_in_text_do_not_count() -> None:
    assert isinstance(parse(datagram(payload=nested(MAX_DEPTH - 1))), Message)
    with pytest.raises(MessageError, match="nested"):
        parse(datagram(payload=nested(MAX_DEPTH)))
    with pytest.raises(MessageError, match="nested"):
        parse(b"[" * 30_000 + b"]" * 30_000)
    assert isinstance(parse(datagram(payload="[" * 1000)), Message)
    assert isinstance(parse(datagram(payload=[[1.0]] * 1000)), Message)


def test_lone_surrogates_become_text_that_can_be_encoded() -> None:
    message = parse(datagram(payload={"\ud800": ["\udfff!", "\U0001f600"]}))
    assert isinstance(message, Message)
    assert message.payload == {"\ufffd": ["\ufffd!", "\U0001f600"]}


def test_of_a_repeated_key_the_last_counts() -> None:
    message = parse(datagram().replace(b'"seq_no": 7', b'"seq_no": 7, "seq_no": 8'))
    assert isinstance(message, Message)
    assert message.seq_no == 8


def test_the_largest_datagram_is_taken_whole() -> None:
    room = DATAGRAM_BYTES - len(datagram(payload=""))
    message = parse(datagram(payload="x" * room))
    assert isinstance(message, Message)
    assert len(message.payload) == room


def test_a_drain_marker_is_known_before_and_after_parsing() -> None:
    marker = drain_marker("crate1slot2", "abc")
    assert is_drain(marker)
    assert parse(marker) == Drain("crate1slot2", "abc")
    assert not is_drain(datagram(payload="smurfq.drain"))


def made(kind: str, payload: Any) -> SessionRecord:
    message = parse(datagram(type=kind, payload=payload))
    assert isinstance(message, Message)
    return records_made_of(message)


def test_each_type_ends_where_a_person_looks_for_it() -> None:
    assert made("session_data", {"a": 1, "b": [2]}).data == {"a": 1, "b": [2]}
    assert made("session_log", "line").messages == [[1.5, "line"]]
    assert made("session_logs", ["one", "two"]).messages == [[1.5, "one"], [1.5, "two"]]
    assert made("session_logs", "one").messages == [[1.5, "one"]]
    assert made("log", {"message": "line"}).messages == [[1.5, "line"]]
    assert made("general", {"x": 1}).messages == [[1.5, '{"x":1}']]
    assert made("of_a_script", [1]).messages == [[1.5, "of_a_script: [1]"]]
    assert made("start", {}).messages == [[1.5, "publisher tune started"]]
    assert made("stop", {}).messages == [[1.5, "publisher tune stopped"]]
    assert made("metadata", {"path": "AMCc.X", "value": 3, "type": "int"}) == SessionRecord("t")
    failed = made("backend_error", {"message": "dropped large UDP packet"})
    assert failed.messages == [[1.5, "publisher: dropped large UDP packet"]]
    assert failed.degraded


@pytest.mark.parametrize("kind", ["data_file", "g3_file"])
def test_a_file_keeps_its_type_and_says_its_kind(kind: str) -> None:
    file = {"path": "/data/x.npy", "type": "tuning", "format": "npy"}
    assert made(kind, file).files == [{**file, "kind": kind}]
    assert made(kind, "/data/x.g3").files == [{"path": "/data/x.g3", "kind": kind}]
    assert made(kind, {"path": "/data/x.dat\0\0"}).files == [{"path": "/data/x.dat", "kind": kind}]


@pytest.mark.parametrize("kind", ["session_data", "data_file", "g3_file"])
def test_a_payload_of_the_wrong_type_is_reported_in_the_record(kind: str) -> None:
    message = parse(datagram(type=kind, payload=[1, 2]))
    assert isinstance(message, Message)
    assert publication(message).malformed
    [[_, text]] = records_made_of(message).messages
    assert kind in text
    assert "[1,2]" in text
