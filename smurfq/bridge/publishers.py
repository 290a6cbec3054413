"""Maps the ids under which Publishers send to the slots and lanes of the site.

The ids are made of the stream ids in the settings and of those that the workers report. A worker reports before its
first operation, and a module may move to another slot, so the reports are read again each second.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping

from smurfq.core.publisher_ids import Publisher, known_publishers
from smurfq.store.redis_errors import AWAY

_READ_AGAIN_S = 0.1  # at the earliest, if messages of an unknown id arrive


class Publishers:
    """The known publisher ids. ``read_stream_ids`` returns the stream id of each slot by place."""

    def __init__(self, stream_ids: Mapping[str, str], read_stream_ids: Callable[[], Mapping[str, str]]) -> None:
        self._read_stream_ids = read_stream_ids
        self._known = known_publishers(stream_ids)
        self._read_at = 0.0

    def find(self, publisher_id: str) -> Publisher | None:
        """Return the publisher with this id; None if the site has none, also after the reports were read again."""
        found = self._known.get(publisher_id)
        if found is None and time.monotonic() - self._read_at > _READ_AGAIN_S:
            self.read_again()
            found = self._known.get(publisher_id)
        return found

    def read_again(self) -> None:
        """Read the reports again. While Redis is away, the known ids stay as they are."""
        self._read_at = time.monotonic()
        with contextlib.suppress(*AWAY):
            self._known = known_publishers(self._read_stream_ids())
