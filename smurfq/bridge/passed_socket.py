"""Takes the bridge's UDP socket from the process that started the bridge.

systemd and `smurfq up` keep the socket open while the bridge restarts. The kernel then keeps the datagrams that arrive
meanwhile, up to the size of the receive buffer, and the next bridge receives them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

from smurfq.errors import StartError

FD_VARIABLE: Final = "BRIDGE_SOCKET_FD"
"""The variable in which `smurfq up` passes the socket's file descriptor."""
_FIRST_OF_SYSTEMD = 3


def passed_socket(environ: Mapping[str, str], host: str, port: int) -> socket.socket | None:
    """Return the UDP socket that this process was started with; None if it was started without one.

    Raises
    ------
    StartError
        What was passed is not a UDP socket of ``host`` and ``port``.
    """
    descriptor = _descriptor(environ)
    if descriptor is None:
        return None
    try:
        bound = socket.socket(fileno=descriptor)
        address = bound.getsockname()
    except OSError as cause:
        raise StartError(f"the bridge was started with a socket that it cannot use: {cause.strerror}") from cause
    wanted = {info[4][:2] for info in socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)}
    if bound.type != socket.SOCK_DGRAM or address[:2] not in wanted:
        bound.close()
        raise StartError(
            f"the bridge was started with a socket of {address}, but bridge.host and bridge.port are UDP "
            f"{host}:{port}; correct them, or ListenDatagram in smurfq-bridge.socket"
        )
    bound.set_inheritable(False)
    return bound


def _descriptor(environ: Mapping[str, str]) -> int | None:
    if text := environ.get(FD_VARIABLE):
        return int(text)
    if environ.get("LISTEN_PID") == str(os.getpid()) and environ.get("LISTEN_FDS") == "1":  # see sd_listen_fds(3)
        return _FIRST_OF_SYSTEMD
    return None
