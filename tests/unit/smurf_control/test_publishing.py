"""A Publisher uses no number for a message that it does not send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pysmurf.client.util.pub", reason="needs pysmurf (pip install smurfq[slot])")

from pysmurf.client.util import pub

from smurfq.smurf_control.publishing import number_only_what_is_sent

pytestmark = pytest.mark.slot


class Sent:
    """A real Publisher, and what it gave to its socket."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.publisher = pub.Publisher("a script", {"BACKEND": "udp", "ID": "crate1slot2", "UDP_PORT": 9})
        self.publisher.udp_sock.close()
        self.publisher.udp_sock = SimpleNamespace(sendto=self.take)
        self.fails: OSError | None = None

    def take(self, payload: bytes, _address: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.messages.append(json.loads(payload))

    @property
    def numbers(self) -> list[int]:
        return [message["seq_no"] for message in self.messages]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the record is told."""
    monkeypatch.setattr(pub.Publisher, "publish", pub.Publisher.publish)  # to have it back
    texts: list[str] = []
    session: Any = SimpleNamespace(add_message=texts.append)
    number_only_what_is_sent(session)
    yield texts


def test_a_message_that_is_no_json_uses_no_number_and_is_reported_ever_less_often(told: list[str]) -> None:
    sent = Sent()
    for _ in range(25):
        with pytest.raises(TypeError):
            sent.publisher.publish({1, 2})
    sent.publisher.publish("good")
    assert sent.numbers == [1], "0 is the Publisher's start message"
    assert [text.partition(" not sent: TypeError")[0] for text in told] == ["a message was", "10 messages were"]


def test_the_error_for_a_too_large_message_uses_its_number(told: list[str]) -> None:
    sent = Sent()
    sent.publisher.publish("x" * 70_000)
    sent.publisher.publish("good")
    assert [message["type"] for message in sent.messages] == ["backend_error", "general"]
    assert sent.numbers == [1, 2]


def test_an_error_of_the_scripts_own_keeps_its_number(told: list[str]) -> None:
    sent = Sent()
    sent.publisher.publish("good")
    sent.publisher.publish("a script's own", "backend_error")
    assert sent.numbers == [1, 2]


def test_a_message_that_the_socket_rejects_uses_no_number(told: list[str]) -> None:
    sent = Sent()
    sent.fails = OSError("no route")
    with pytest.raises(OSError, match="no route"):
        sent.publisher.publish("good")
    sent.fails = None
    sent.publisher.publish("good")
    assert sent.numbers == [1]
    assert told == ["a message was not sent: OSError: no route"]
