"""Stops consuming while Redis accepts no writes.

Redis may be out of memory or a replica. A message that is taken then could neither be marked as taken nor claimed.
"""

from __future__ import annotations

import logging
import time
import warnings
from functools import cached_property, partial
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.states import FAILURE
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

from smurfq.core.session import Outcome
from smurfq.errors import ParameterError
from smurfq.private_api.consumer import release_place
from smurfq.store import best_effort, patiently
from smurfq.store.outage import Outage
from smurfq.worker.malformed_messages import tolerant_channel, tolerant_handler
from smurfq.worker.taking import marking_channel

_SHOWN_CHARS = 500
# At each lost connection Celery logs an eight-line deprecation warning.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning, module=r"celery\.worker\.consumer")


class SlotConsumer(Consumer):  # type: ignore[misc]
    """The consumer of a slot's queues."""

    @cached_property
    def outage(self) -> Outage:
        """The outages of Redis, as the log of this worker tells of them."""
        return Outage(self.app.settings.redis_url, "no task is taken meanwhile")

    def connect(self) -> Any:
        """Return the connection to the broker when Redis accepts writes; see ``Consumer.connect``.

        Celery itself would look again after 2, 4, 6 … 30 s.
        """
        patiently(self._renew, outage=self.outage, pause=_wait_unless_stopped)
        return super().connect()

    def ensure_connected(self, conn: Any) -> Any:
        """Return ``conn``, connected, with smurfq's channels; see ``Consumer.ensure_connected``.

        They mark what they take, and drop what is no message.
        """
        conn.transport.Channel = tolerant_channel(marking_channel(conn.transport.Channel))
        return super().ensure_connected(conn)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Return the handler of messages, which also handles malformed ones; see ``Consumer``."""
        return tolerant_handler(
            super().create_task_handler(*args, **kwargs), self._refuse, partial(release_place, self)
        )

    def _refuse(self, task_id: str, cause: Exception) -> None:
        """End a waiting run whose message could not be read; a run that is running or has ended stays as it is."""
        why = str(cause)[:_SHOWN_CHARS]
        error = ParameterError(f"the message of the task {task_id} could not be read: {why}", session_id=task_id)
        with best_effort(f"cannot write the end of {task_id}", level=logging.ERROR):
            if self.app.records.exists(task_id):
                if self.app.records.header(task_id).status != "queued":
                    return
                self.app.write_end(task_id, Outcome.FAILED, error)
            self.app.backend.store_result(task_id, error, FAILURE)

    def _renew(self) -> None:
        """Renew the lease, if it can be, and report that the worker is alive: both are writes."""
        context = self.app.worker_context
        context.renew_lease()
        context.say_alive()


def _wait_unless_stopped(wait_s: float) -> None:
    maybe_shutdown()
    time.sleep(wait_s)
