"""Finds free ports of this machine, and the owners of ports in use."""

from __future__ import annotations

import socket
from typing import Literal

import psutil

from smurfq.errors import StartError

Kind = Literal["tcp", "udp"]
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


def free_port(kind: Kind, host: str = "127.0.0.1") -> int:
    """Return a port on which no process listens."""
    with socket.socket(socket.AF_INET, _TYPES[kind]) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def free_port_of_both(host: str = "127.0.0.1") -> int:
    """Return a port on which no process listens by TCP or UDP, for Channel Access."""
    while True:
        port = free_port("tcp", host)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port


def require_free(kind: Kind, host: str, port: int, what: str, variable: str) -> None:
    """Check that ``what`` can listen on a port.

    Raises
    ------
    StartError
        The port is in use, or the address is not this machine's. The message names the owner, and the setting.
    """
    with socket.socket(socket.AF_INET, _TYPES[kind]) as probe:
        if kind == "tcp":  # like the servers, so that a connection in TIME_WAIT does not count
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as cause:
            owner = _owner(kind, port)
            raise StartError(
                f"{what} cannot listen on {kind.upper()} {host}:{port}: {cause.strerror}{owner}; "
                f"end that process, or set {variable}",
                port=port,
            ) from cause


def _owner(kind: Kind, port: int) -> str:
    try:
        connections = psutil.net_connections(kind)
    except psutil.Error:
        return ""
    for connection in connections:
        local = connection.laddr
        if local and local.port == port and connection.pid and not connection.raddr:
            try:
                return f" (process {connection.pid}, {psutil.Process(connection.pid).name()})"
            except psutil.Error:
                return ""
    return ""
