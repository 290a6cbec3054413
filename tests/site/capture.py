"""Writes each datagram that a host sends to its own UDP port to a file: ``python -m tests.site.capture PORT FILE``.

It reads the loopback device, so it misses nothing that the process at the port might miss. It needs root.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
from pathlib import Path
from typing import Any

_ETH_P_IP = 0x0800
_SO_RCVBUFFORCE = 33
_BUFFER_BYTES = 64 << 20
_PACKET_BYTES = 1 << 16
_UDP_HEADER_BYTES = 8


def capture(port: int, path: Path) -> None:
    """Write datagrams, one to a line, until the process is ended."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP)) as device:
        device.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        device.bind(("lo", _ETH_P_IP))
        with path.open("ab", buffering=0) as file:
            while True:
                packet, (_, _, direction, *_) = device.recvfrom(_PACKET_BYTES)
                if direction != socket.PACKET_OUTGOING and (datagram := _datagram(packet, port)) is not None:
                    file.write(datagram + b"\n")


def files(path: Path) -> list[dict[str, Any]]:
    """The captured messages of files."""
    whole = path.read_bytes().split(b"\n")[:-1]
    found = [json.loads(line) for line in whole if b"_file" in line]
    return [message for message in found if message["type"] in {"data_file", "g3_file"}]


def _datagram(packet: bytes, port: int) -> bytes | None:
    header_bytes = 4 * (packet[0] & 0x0F)
    if packet[9] != socket.IPPROTO_UDP or struct.unpack_from("!H", packet, header_bytes + 2)[0] != port:
        return None
    return packet[header_bytes + _UDP_HEADER_BYTES :]


if __name__ == "__main__":
    capture(int(sys.argv[1]), Path(sys.argv[2]))
