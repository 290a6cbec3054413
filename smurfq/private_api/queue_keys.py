"""The keys of kombu's Redis transport. This module imports nothing, so that a client does not load Celery.

``kombu.transport.redis.Channel`` has them as ``sep``, ``unacked_key`` and ``unacked_index_key``, undocumented. smurfq
needs them to show, cancel and reorder waiting messages, for which kombu has no interface.
"""

from __future__ import annotations

SEPARATOR = "\x06\x16"  # between a queue's name and a priority step, in the name of a list
UNACKED = "unacked"  # a hash: the messages that were taken, by delivery tag
UNACKED_INDEX = "unacked_index"  # a sorted set: the time at which each was taken, in s since 1970
