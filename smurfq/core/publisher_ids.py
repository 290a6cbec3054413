"""The ids under which pysmurf Publishers send messages for a slot (``SMURFPUB_ID``).

The state lane runs at the same time as the control lane. It has its own id, so that its messages are not attributed to
the run of the control lane. The smurf server of a slot publishes under ``STREAMER:<stream id>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from smurfq.core.slot import WORKER_LANES, Lane, SlotId, publisher_id

VARIABLE: Final = "SMURFPUB_ID"
_SERVER: Final = "STREAMER:"
_STATE: Final = ".state"


class Publisher(NamedTuple):
    """The publisher of a message: its slot, and the name of the lane whose runs it belongs to.

    ``lane`` is None for the slot's smurf server, which publishes whether a run exists or not.
    """

    slot: str
    lane: str | None


def smurfpub_id(stream_id: str, lane: Lane) -> str:
    """Return the ``SMURFPUB_ID`` of an operation's process: the stream id, as sodetlib sets it."""
    return stream_id + _STATE if lane == "state" else stream_id


def is_of_state_lane(smurfpub_id: str) -> bool:
    """Return whether a ``SMURFPUB_ID`` is that of an operation of the state lane."""
    return smurfpub_id.endswith(_STATE)


def server_id(stream_id: str) -> str:
    """Return the publisher id of a slot's smurf server."""
    return _SERVER + stream_id


def known_publishers(stream_ids: Mapping[str, str]) -> dict[str, Publisher]:
    """Return the publisher of each id that can come from the slots whose stream ids are given by place.

    A slot's ids are made of its stream id, its place, and the place as older versions of sodetlib wrote it. Stream ids
    come first: if a stream id looks like an older name, it is the stream id.
    """
    found: dict[str, Publisher] = {}
    for slot, stream_id in stream_ids.items():
        _add(found, slot, stream_id)
    for slot in stream_ids:
        _add(found, slot, slot)
        _add(found, slot, SlotId.parse(slot).older_id)
    return found


def _add(found: dict[str, Publisher], slot: str, name: str) -> None:
    for lane in WORKER_LANES:
        found.setdefault(smurfpub_id(name, lane), Publisher(slot, publisher_id(slot, lane)))
    found.setdefault(server_id(name), Publisher(slot, None))
