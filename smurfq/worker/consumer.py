"""Stops consuming while Redis accepts no writes.

Redis may be out of memory or a replica. A message that is taken then could neither be marked as taken nor claimed.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from celery.states import FAILURE
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer
from celery.worker.state import maybe_shutdown

from smurfq.core.session import Outcome
from smurfq.errors import ParameterError
from smurfq.private_api.consumer import release_place
from smurfq.store.connection import AWAY, explain
from smurfq.worker.malformed_messages import tolerant_channel, tolerant_handler
from smurfq.worker.taking import marking_channel

logger = get_logger(__name__)

_LOOK_EVERY_S = 0.5
_SAY_EVERY_S = 30.0
_SHOWN_CHARS = 500
# At each lost connection Celery logs an eight-line deprecation warning.
warnings.filterwarnings("ignore", category=CPendingDeprecationWarning, module=r"celery\.worker\.consumer")


class SlotConsumer(Consumer):  # type: ignore[misc]
    """The consumer of a slot's queues."""

    def connect(self) -> Any:
        """Return the connection to the broker when Redis accepts writes; see ``Consumer.connect``.

        Celery itself would look again after 2, 4, 6 … 30 s.
        """
        self._wait_for_redis()
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
        try:
            if self.app.records.exists(task_id):
                if self.app.records.header(task_id).status != "queued":
                    return
                self.app.write_end(task_id, Outcome.FAILED, error)
            self.app.backend.store_result(task_id, error, FAILURE)
        except AWAY as away:
            logger.error("cannot write the end of %s, Redis is away: %s", task_id, away)

    def _wait_for_redis(self) -> None:
        """Return when Redis accepts writes; renew the lease until then, if possible."""
        next_word = 0.0
        while (cause := self._what_is_wrong()) is not None:
            maybe_shutdown()
            if time.monotonic() >= next_word:
                next_word = time.monotonic() + _SAY_EVERY_S
                logger.error("%s; no task is taken meanwhile", explain(self.app.settings.redis_url, cause))
            time.sleep(_LOOK_EVERY_S)
        if next_word:
            logger.warning("Redis is back and accepts writes")

    def _what_is_wrong(self) -> Exception | None:
        """The reason why Redis accepts no writes, or None."""
        context = self.app.worker_context
        try:
            context.renew_lease()
            context.say_alive()
        except AWAY as cause:
            return cause
        return None
