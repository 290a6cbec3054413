"""Checks the environment of the pysmurf Publisher in operations."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from smurfq.config.sections import ANY_ADDRESS
from smurfq.operation_process.environment import environment, publisher_warning
from smurfq.site.doctor.finding import Examined, Finding, fail, ok


def check(examined: Examined) -> Iterator[Finding]:
    """Check the publisher's variables of an operation that is started from this environment."""
    settings = examined.settings
    found = {**examined.environ, **environment(settings, settings.slots[0], "control", examined.environ)}
    if warning := publisher_warning(found):
        told, _, todo = warning.partition("; ")
        yield fail("publisher", told, todo)
        return
    host, port = found["SMURFPUB_UDP_HOST"], found["SMURFPUB_UDP_PORT"]
    bridge = settings.bridge
    if port != str(bridge.port) or not _same_host(host, bridge.host):
        yield fail(
            "publisher",
            f"SMURFPUB_UDP_HOST and _PORT say {host}:{port}, but the bridge listens on {bridge.host}:{bridge.port}",
            "unset both, so that smurfq sets them; to send messages to another receiver too, set bridge.relay",
        )
    else:
        yield ok("publisher", f"SMURFPUB_BACKEND=udp, and messages go to the bridge at {host}:{port}")


def _same_host(publisher: str, bridge: str) -> bool:
    if bridge in ANY_ADDRESS:
        return True
    try:
        return socket.gethostbyname(publisher) == socket.gethostbyname(bridge)
    except OSError:
        return publisher == bridge
