"""The names of what kombu's Redis transport keeps in Redis; imports nothing, so that a client loads no Celery.

``kombu.transport.redis.Channel`` has them as ``sep``, ``unacked_key`` and ``unacked_index_key``, undocumented. They
are needed to show, cancel and reorder what waits in a queue, for which kombu has no interface.
"""

from __future__ import annotations

SEPARATOR = "\x06\x16"  # between a queue's name and a priority step, in the name of a list
UNACKED = "unacked"  # a hash: the messages that were taken, by delivery tag
UNACKED_INDEX = "unacked_index"  # a sorted set: when each was taken, in s since 1970
