"""Addresses as text."""

from __future__ import annotations

from smurfq.bridge.mmsg import address_text


def test_addresses_are_shown_as_people_write_them() -> None:
    assert address_text(b"\x1f\x90\x7f\x00\x00\x01") == "127.0.0.1:8080"
    assert address_text(b"\x1f\x90" + bytes(4) + bytes(15) + b"\x01") == "[::1]:8080"
