"""The connection to a Redis that does not answer."""

from __future__ import annotations

import socket
import threading

import pytest

from smurfq.store import connection
from smurfq.store.connection import connect
from smurfq.store.redis_errors import AWAY


def test_a_redis_that_accepts_and_does_not_answer_is_tried_three_times_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is stopped, or busy with a FLUSHALL; redis-py's nested retries made it nine times."""
    monkeypatch.setattr(connection, "SOCKET_TIMEOUT_S", 0.05)
    accepted: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                accepted.append(silent.accept()[0])
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as silent:
        thread = threading.Thread(target=accept)
        thread.start()
        with connect(f"redis://127.0.0.1:{silent.getsockname()[1]}/0") as client, pytest.raises(AWAY):
            client.ping()
        silent.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in accepted:
        each.close()
    assert len(accepted) == 3
