"""A TLS server in front of a Valkey, with its own CA, since the embedded Valkey is built without TLS."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from pathlib import Path

import trustme

_BYTES = 65536


class Certificates:
    """A CA, and what it signs, as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def issue(self, name: str, expires: datetime.datetime | None = None) -> tuple[Path, Path]:
        """The files of a certificate for a host name or address, and of its key."""
        issued = self._ca.issue_cert(name, not_after=expires)
        stem = f"{name}{'-expired' if expires else ''}"
        certificate, key = self._folder / f"{stem}.pem", self._folder / f"{stem}.key"
        for index, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(str(certificate), append=index > 0)
        issued.private_key_pem.write_to_path(str(key))
        return certificate, key


class TlsProxy:
    """A TLS server on loopback that passes on to a TCP port; ``close`` ends it."""

    def __init__(self, to_port: int, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._to_port = to_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        if client_ca is not None:
            self._context.load_verify_locations(client_ca)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections, and take no more."""
        for each in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        outside = self._context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
        try:
            outside.do_handshake()
        except OSError:  # the client rejects the certificate, or we reject the client's
            _close_read(outside)
            return
        with contextlib.suppress(OSError), outside, socket.create_connection(("127.0.0.1", self._to_port)) as inside:
            self._open |= {outside, inside}
            back = threading.Thread(target=_pass_on, args=(inside, outside), daemon=True)
            back.start()
            _pass_on(outside, inside)
            back.join()
            self._open -= {outside, inside}


def _close_read(rejected: ssl.SSLSocket) -> None:
    """Close a connection once all is read: to close one with unread data resets it, and the TLS alert is lost."""
    with contextlib.suppress(OSError), socket.socket(fileno=rejected.detach()) as plain:
        plain.settimeout(5.0)
        plain.shutdown(socket.SHUT_WR)
        while plain.recv(_BYTES):
            pass


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_BYTES):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
