"""Junk for a slot's queue and the bridge's socket: noise, and valid messages that are cut, changed or misaddressed."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from celery.utils import uuid

_LONGEST = 65_507
_SHAPES: tuple[Any, ...] = (None, True, -1, 1e308, "x", [], {}, [[]], {"slot": 5}, "\x00", "../..")


def datagram(chance: random.Random, publishers: list[str]) -> bytes:
    """Anything that may come to the bridge, in the name of one of ``publishers`` or of nobody."""
    fields = {
        "host": "junk",
        "id": chance.choice([*publishers, "crate9slot9", ""]),
        "script": "junk",
        "time": chance.choice([0.0, 1e12, None, "now"]),
        "seq_no": chance.choice([-1, 2**63, "1", None]),
        "type": chance.choice(["session_data", "session_log", "stop", "what", 5]),
        "payload": chance.choice(_SHAPES),
    }
    whole = json.dumps(fields).encode()
    return chance.choice(
        [
            chance.randbytes(chance.randrange(1, 300)),
            whole,
            whole[: chance.randrange(len(whole))],
            b"[" * chance.randrange(1, _LONGEST),
            whole.replace(b"junk", chance.randbytes(8)),
        ]
    )


def message(chance: random.Random, queue: str, good: str | None) -> bytes:
    """Anything that may lie in a queue: of a ``good`` message what a worker cannot read, or of an id of its own."""
    fields: dict[str, Any] = {
        "body": base64.b64encode(json.dumps([[], {}, {}]).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": chance.choice(["application/json", "application/x-python-serialize", "text/plain"]),
        "headers": {"lang": "py", "id": uuid(), "task": chance.choice(["smurfq.test", "smurfq.run", "os.system"])},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": uuid(),
            "delivery_info": {"exchange": "", "routing_key": queue},
        },
    }
    fields[chance.choice(list(fields))] = chance.choice(_SHAPES)
    cut = (good or json.dumps(fields)).encode()
    return chance.choice(
        [
            chance.randbytes(chance.randrange(1, 300)),
            json.dumps(fields).encode(),
            json.dumps(chance.choice(_SHAPES)).encode(),
            cut[: chance.randrange(len(cut))],
        ]
    )
