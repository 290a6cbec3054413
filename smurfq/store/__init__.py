"""Everything that smurfq keeps in Redis; the only code that writes live task metadata.

``connection`` connects and waits for Redis, ``records`` holds session records, ``snapshot`` the bounded copy of a
record in Celery's own metadata, ``fence`` claims, leases and what runs where, ``holds`` the held queues,
``control_requests`` the requests to a running operation, ``queues`` what waits.
"""

from smurfq.store.connection import connect, patiently
from smurfq.store.records import Batch, Records

__all__ = ["Batch", "Records", "connect", "patiently"]
