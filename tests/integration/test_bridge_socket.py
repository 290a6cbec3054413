"""A bridge that is started with a socket: nothing that is sent while it restarts is lost."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from smurfq.bridge.passed_socket import FD_VARIABLE, passed_socket
from smurfq.errors import StartError
from smurfq.store.connection import Client
from tests.site.bridge import BridgeSite
from tests.site.eventually import READY_WITHIN_S, eventually

AS_SYSTEMD = """
import os, sys

os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, "-m", "smurfq.udp_bridge"])
"""


@pytest.fixture
def site(valkey: Client, valkey_url: str, tmp_path: Path) -> Iterator[BridgeSite]:
    """A site whose socket this process keeps."""
    with BridgeSite(valkey_url, tmp_path) as site:
        site.keep_socket()
        yield site


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_sent_while_the_bridge_restarts_is_in_the_record(site: BridgeSite, number: int) -> None:
    bridge = site.start()
    site.begin("t1")
    wire = site.wire()
    wire.say("before")
    site.drain()
    site.stop(bridge, number)
    wire.say(*(f"meanwhile {place}" for place in range(100)))
    site.start()
    wire.say("after")
    site.drain()
    assert site.texts("t1") == ["before", *(f"meanwhile {place}" for place in range(100)), "after"]
    assert site.records.read("t1").lost == 0


def test_what_the_kernel_dropped_before_is_not_counted_again(site: BridgeSite) -> None:
    site.begin("t1")
    wire = site.wire()
    wire.paced = False
    for _ in range(300):
        wire.send("session_log", "x" * 20_000)  # more than the buffer has room for
    site.start()
    wire.paced = True
    wire.say("after")
    answer = site.drain()
    assert answer.lost > 0
    assert answer.applied + answer.lost == 301
    assert (answer.kernel_dropped, answer.complete) == (0, False)


def test_systemd_passes_its_socket_as_descriptor_3(site: BridgeSite, tmp_path: Path) -> None:
    kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    kept.bind(("127.0.0.1", 0))
    port = kept.getsockname()[1]
    environ = {**site.environ, "SMURFQ_BRIDGE_PORT": str(port)}
    command = [sys.executable, "-c", AS_SYSTEMD, str(kept.fileno())]
    process = site.launch("bridge", command, environ, pass_fds=[kept.fileno()])

    def ready() -> bool:
        assert process.poll() is None, site.log()
        return f"ready on 127.0.0.1:{port}" in site.log()

    eventually(ready, READY_WITHIN_S, site.log)
    kept.close()


def test_a_socket_of_another_address_is_rejected() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert passed_socket({}, "127.0.0.1", port) is None
        assert passed_socket({"LISTEN_FDS": "1", "LISTEN_PID": "1"}, "127.0.0.1", port) is None
        copy = bound.dup()
        with pytest.raises(StartError, match=r"bridge\.host and bridge\.port are UDP 127\.0\.0\.1:1;"):
            passed_socket({FD_VARIABLE: str(copy.detach())}, "127.0.0.1", 1)
    with open("/dev/null") as no_socket, pytest.raises(StartError, match="a socket that it cannot use"):  # noqa: PTH123
        passed_socket({FD_VARIABLE: str(no_socket.fileno())}, "127.0.0.1", port)
