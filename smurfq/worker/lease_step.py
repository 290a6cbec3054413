"""Renews a worker's lease, reports that the worker is alive, and applies holds: a step of Celery's consumer."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.control import control_command
from redis.exceptions import ConnectionError as RedisConnectionError

from smurfq.private_api.channel import restore_unacknowledged
from smurfq.store.primary import PrimaryConnection
from smurfq.store.redis_errors import AWAY, REFUSES
from smurfq.worker import remote_control

logger = get_logger(__name__)

EVERY_S = 1.0
LEASE_LOST_EXIT = 75  # EX_TEMPFAIL: the service manager starts it again, and it stands by


class LeaseStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """The consumer's step."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._timer: Any = None
        consumer.smurfq_lease_step = self

    def start(self, consumer: Any) -> None:
        """Apply a hold before the first message is taken, then check everything once a second."""
        if consumer.app.worker_context.told_to_stop:  # before Celery listened to signals
            state.should_stop = 0
        if consumer.app.worker_context.serves_alone:
            self._take_back(consumer)
        remote_control.refuse_foreign(consumer)
        consumer.app.worker_context.held = False
        self.apply_hold(consumer)
        self._tick(consumer)
        self._timer = consumer.timer.call_repeatedly(EVERY_S, self._tick, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @staticmethod
    def _take_back(consumer: Any) -> None:
        """Put messages that were taken and never acknowledged back into their queues, the oldest first.

        Celery forgets what it has taken and not begun when a connection breaks, and leaves it until kombu's visibility
        timeout. Nobody else serves these queues: whoever took it is a connection that broke, or a worker that died.
        Should it have been begun after all, the claim drops the copy.
        """
        queues = [queue.name for queue in consumer.task_consumer.queues]
        for tag in consumer.app.waiting.unacknowledged_tags(queues):
            logger.warning("put a message that was taken and not acknowledged back into its queue")
            restore_unacknowledged(consumer.task_consumer.channel, tag)

    def apply_hold(self, consumer: Any) -> str:
        """Hold or release the queue as Redis says; emergencies are always taken."""
        context = consumer.app.worker_context
        if context.lane != "control":
            return "open"
        hold = consumer.app.holds.get(context.slot)
        if hold is not None and not context.held:
            consumer.cancel_task_queue(context.queue)
            logger.warning("%s: only emergencies are taken", hold)
        elif hold is None and context.held:
            consumer.add_task_queue(context.queue)
            logger.warning("%s is released", context.slot)
        context.held = hold is not None
        return "held" if context.held else "open"

    def _tick(self, consumer: Any) -> None:
        context = consumer.app.worker_context
        try:
            if not context.renew_lease():
                logger.critical("another worker has taken over %s; this one stops", context.leased)
                state.should_stop = LEASE_LOST_EXIT
                return
            context.say_alive()
            self.apply_hold(consumer)
        except REFUSES as cause:  # the consumer starts again, and waits before it takes another message
            raise RedisConnectionError(str(cause)) from cause
        except AWAY as cause:
            consumer.outage.away(cause)  # Celery may not notice for long: its connection may still work
            return
        consumer.outage.back()
        require_primary(consumer)


def require_primary(consumer: Any) -> None:
    """Check that the connection on which the worker waits for messages leads to the primary.

    Raises
    ------
    redis.exceptions.ConnectionError
        The sentinels name another server; Celery's consumer connects again. It would not notice by itself: the old
        one may never answer again.
    """
    connection = getattr(consumer.task_consumer.channel.client, "connection", None)
    if isinstance(connection, PrimaryConnection):
        connection.require_primary()


@control_command()  # type: ignore[untyped-decorator]
def apply_hold(state: Any, **_kwargs: Any) -> dict[str, str]:
    """Apply the slot's hold now; the reply comes when it is applied."""
    return {"ok": state.consumer.smurfq_lease_step.apply_hold(state.consumer)}
