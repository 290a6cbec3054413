"""Everything that smurfq keeps in Redis; the only code that writes live task metadata.

``connection`` connects, ``outage`` waits while Redis is away, ``record_batches`` writes session records and ``records``
reads them, ``snapshot`` holds the bounded copy of a record in Celery's own metadata, ``fence`` claims, leases and what
runs where, ``holds`` the held queues, ``control_requests`` the requests to a running operation, ``queues`` what waits.
"""

from smurfq.store.connection import connect
from smurfq.store.outage import best_effort, patiently
from smurfq.store.record_batches import Batch
from smurfq.store.records import Records

__all__ = ["Batch", "Records", "best_effort", "connect", "patiently"]
