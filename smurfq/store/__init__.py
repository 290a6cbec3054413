"""All data of smurfq in Redis. Only this package writes the metadata of live tasks.

``connection`` connects, and ``outage`` waits while Redis is away. ``record_batches`` writes session records,
``records`` reads them, and ``snapshot`` writes a bounded copy of a record into Celery's own metadata. ``fence``
contains claims, leases and the notes of present runs, ``holds`` the held slots, ``control_requests`` the requests to
running operations, and ``queues`` the waiting messages.
"""

from smurfq.store.connection import connect
from smurfq.store.outage import best_effort, patiently
from smurfq.store.record_batches import Batch
from smurfq.store.records import Records

__all__ = ["Batch", "Records", "best_effort", "connect", "patiently"]
