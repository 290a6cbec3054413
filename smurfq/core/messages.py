"""Parses a datagram of the pysmurf Publisher.

Bytes that are not a valid message raise ``MessageError``. ``publication`` maps messages to changes of a record, and
``sequence`` finds missing messages.
"""

from __future__ import annotations

import math
from json import JSONDecoder
from typing import Any, NamedTuple

from smurfq.core.jsonsafe import dumps, nested_deeper, plain
from smurfq.errors import MessageError

DRAIN_TYPE = "smurfq.drain"
REGISTER_MARK = b'"type": "metadata", "payload": '  # in each value of a register, as pysmurf's Publishers write it
_DRAIN_START = b'{"type":"smurfq.drain",'
MAX_DEPTH = 64  # levels of nested arrays and objects that every reader of a record can parse
MAX_SEQ_NO = 2**53
MAX_NAME_CHARS = 256
_LATEST_TIME = 1e11  # s since 1970
_SHOWN_BYTES = 80


class Message(NamedTuple):
    """The message of one call of ``Publisher.publish``. ``payload`` is JSON without NaN and infinity."""

    host: str
    id: str  # the publisher id (SMURFPUB_ID)
    script: str
    time: float  # s since 1970, by the publisher's clock
    seq_no: int
    type: str
    payload: Any


class Drain(NamedTuple):
    """A drain marker: a worker asks the bridge whether it has written all earlier messages."""

    id: str  # the publisher id
    token: str  # identifies the answer


def _null(_token: str) -> None:
    return None


def _finite(token: str) -> float | None:
    number = float(token)
    return number if math.isfinite(number) else None


_DECODER = JSONDecoder(parse_constant=_null, parse_float=_finite)


def parse(datagram: bytes) -> Message | Drain:
    """Parse a datagram as a message or a drain marker.

    If a key occurs twice, the last value is used. Lone surrogates become U+FFFD, so that all text can be encoded.

    Raises
    ------
    MessageError
        The datagram is neither. The error says what was expected and shows the start of the datagram.
    """
    value = _decode(datagram)
    if type(value) is not dict:
        raise _error(f"expected a JSON object, got {_name(value)}", datagram)
    kind = value.get("type")
    if kind == DRAIN_TYPE:
        return Drain(_text(value, "id", datagram), _text(value, "token", datagram))
    time: Any = value.get("time")
    if type(time) not in (float, int) or not 0 <= time < _LATEST_TIME:
        raise _error(f"expected 'time' in seconds since 1970, got {_brief(time)}", datagram)
    seq_no = value.get("seq_no")
    if type(seq_no) is not int or not 0 <= seq_no < MAX_SEQ_NO:
        raise _error(f"expected 'seq_no' to be a whole number from 0, got {_brief(seq_no)}", datagram)
    if "payload" not in value:
        raise _error("expected a 'payload', got none", datagram)
    return Message(
        _text(value, "host", datagram),
        _text(value, "id", datagram),
        _text(value, "script", datagram),
        float(time),
        seq_no,
        _text(value, "type", datagram),
        value["payload"],
    )


def _decode(datagram: bytes) -> Any:
    try:
        value = _DECODER.decode(datagram.decode())
    except UnicodeDecodeError as cause:
        raise _error("expected UTF-8", datagram) from cause
    except RecursionError as cause:
        raise _error(f"expected JSON nested at most {MAX_DEPTH} deep, got far deeper", datagram) from cause
    except ValueError as cause:  # not JSON, or an integer with thousands of digits
        raise _error(f"expected JSON ({cause})", datagram) from cause
    # Text with fewer brackets cannot be nested too deep, so nearly all messages skip the slower check.
    if datagram.count(b"[") + datagram.count(b"{") > MAX_DEPTH and nested_deeper(value, MAX_DEPTH):
        raise _error(f"expected JSON nested at most {MAX_DEPTH} deep, got deeper", datagram)
    return plain(value) if b"\\ud" in datagram or b"\\uD" in datagram else value


def _text(value: dict[str, Any], name: str, datagram: bytes) -> str:
    text = value.get(name)
    if type(text) is not str or len(text) > MAX_NAME_CHARS:
        raise _error(
            f"expected {name!r} to be text of at most {MAX_NAME_CHARS} characters, got {_brief(text)}",
            datagram,
        )
    return text


def _error(problem: str, datagram: bytes) -> MessageError:
    beginning = datagram[:_SHOWN_BYTES]
    more = "…" if len(datagram) > _SHOWN_BYTES else ""
    return MessageError(
        f"{problem}; a message of the pysmurf Publisher is JSON {{host, id, script, time, seq_no, type, payload}}; "
        f"got {len(datagram)} bytes: {beginning!r}{more}",
        bytes=len(datagram),
    )


def _name(value: Any) -> str:
    return {list: "an array", str: "text", bool: "true or false", type(None): "null"}.get(type(value), "a number")


def _brief(value: Any) -> str:
    text = "a very long number" if type(value) is int and value.bit_length() > 256 else repr(value)
    return text if len(text) <= _SHOWN_BYTES else text[:_SHOWN_BYTES] + "…"


def is_drain(datagram: bytes) -> bool:
    """Return whether ``datagram`` is a drain marker, without parsing it."""
    return datagram.startswith(_DRAIN_START)


def drain_marker(publisher: str, token: str) -> bytes:
    """Return the datagram that asks the bridge whether it has written all earlier messages."""
    return _DRAIN_START + dumps({"id": publisher, "token": token})[1:].encode()
