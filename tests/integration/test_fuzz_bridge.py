"""The bridge counts any bytes on its socket, and continues to handle good messages."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.bridge import DATAGRAM_BYTES, SLOT, BridgeSite
from tests.site.eventually import WITHIN_S, eventually

TYPES = ("start", "stop", "log", "general", "data_file", "g3_file", "session_data", "session_log", "metadata")
TEXTS = st.text(max_size=8) | st.sampled_from([SLOT, "", "\x00", "\ud800", "a" * 300])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
CHANGES = st.fixed_dictionaries(
    {"id": st.just(SLOT), "type": st.sampled_from([*TYPES, "backend_error", "smurfq.drain", "of a script"])},
    optional={
        "host": JSON,
        "script": JSON,
        "time": JSON | st.floats(0, 2e9),
        "seq_no": JSON | st.integers(0, 2**53),
        "payload": JSON | st.fixed_dictionaries({"path": TEXTS}, optional={"value": JSON, "format": JSON}),
        "token": JSON,
    },
)


@st.composite
def damaged(draw: Any) -> bytes:
    """A good message with bytes changed, cut off or doubled."""
    good = json.dumps({**_GOOD, **draw(CHANGES)}).encode()
    at, to = sorted((draw(st.integers(0, len(good))), draw(st.integers(0, len(good)))))
    instead: bytes = draw(st.sampled_from([b"", good, draw(st.binary(max_size=6)), good[at:to] * 2]))
    return good[:at] + instead + good[to:]


_GOOD = {
    "host": "h",
    "id": SLOT,
    "script": "fuzz",
    "time": 1.5,
    "seq_no": 1,
    "type": "log",
    "payload": {"message": "m"},
}
DATAGRAMS = (
    st.binary(max_size=200)
    | CHANGES.map(lambda changed: json.dumps({**_GOOD, **changed}).encode())
    | damaged()
    | st.sampled_from([b"", b"[" * DATAGRAM_BYTES, b'{"a":' * 9000, b"9" * 60_000, b"\xff" * DATAGRAM_BYTES])
)


@pytest.fixture(scope="module")
def live(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BridgeSite]:
    """A bridge for the module, and nothing else in its Valkey."""
    site = BridgeSite(valkey_url, tmp_path_factory.mktemp("bridge"))
    site.client.flushall()
    site.start()
    yield site
    site.close()


def test_any_bytes_are_counted_and_good_messages_continue_arriving(live: BridgeSite) -> None:
    live.begin("t1")
    numbers, sent = itertools.count(), 0
    junk, good = live.wire(script="fuzz"), live.wire(script="good")

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(DATAGRAMS, min_size=1, max_size=20))
    def throw(datagrams: list[bytes]) -> None:
        nonlocal sent
        sent += len(datagrams) + 1
        for datagram in datagrams:
            junk.raw(datagram[:DATAGRAM_BYTES])
        text = f"good {next(numbers)}"
        good.say(text)
        live.drain()
        assert text in live.texts("t1"), datagrams

    throw()
    assert live.processes["bridge"].poll() is None
    # The bridge tells its counters once in a while.
    eventually(lambda: live.counters().received >= sent, WITHIN_S, "all that was sent is counted")
    counted = live.counters()
    assert (counted.failed, counted.kernel_dropped, counted.refused) == (0, 0, 0), live.log()
    assert counted.malformed > 0
    assert "bug in smurfq" not in live.log()
    assert len(live.log().splitlines()) < 100  # complaints are few, however much came
    json.dumps(live.records.read("t1").to_dict(), allow_nan=False).encode()


def test_a_record_stays_readable_whatever_was_published(live: BridgeSite) -> None:
    live.begin("t2")
    wire = live.wire(script="odd")
    for name in ("", "\x00", "_rev", "status", "slot", "ключ", "a" * 5000):
        wire.send("session_data", {name: {name: [name]}})
    wire.raw(wire.datagram("session_log", "lone \ud800 surrogate"))
    wire.send("session_log", ["a", None, {"b": [1, 2.5]}, "\x00\x1b[2J"])
    live.drain()
    record = live.records.read("t2")
    assert record.status == "starting"
    assert record.slot == SLOT
    assert record.data["status"] == {"status": ["status"]}
    assert record.data[""] == {"": [""]}
    assert [text for _, text in record.messages][1:] == ["a", "null", '{"b":[1,2.5]}', "\x00\x1b[2J"]
    json.dumps(record.to_dict(), allow_nan=False).encode()
