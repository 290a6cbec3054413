"""Renews a worker's lease, says that it lives, and applies holds; a step of Celery's consumer, on its timer."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state
from celery.worker.control import control_command

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps
from smurfq.store.connection import AWAY

logger = get_logger(__name__)

EVERY_S = 1.0
_ALIVE_FOR_S = 5
LEASE_LOST_EXIT = 75  # EX_TEMPFAIL: the service manager starts it again, and it stands by


class Keeper(bootsteps.StartStopStep):  # type: ignore[misc]
    """The consumer's step."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self._timer: Any = None
        self._held = False
        consumer.smurfq_keeper = self

    def start(self, consumer: Any) -> None:
        """Apply a hold before the first message is taken, then look after all once a second."""
        if consumer.app.worker_context.told_to_stop:  # before Celery listened to signals
            state.should_stop = 0
        self._held = False
        self.apply_hold(consumer)
        self._tick(consumer)
        self._timer = consumer.timer.call_repeatedly(EVERY_S, self._tick, (consumer,))

    def stop(self, consumer: Any) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def apply_hold(self, consumer: Any) -> str:
        """Whether the queue is held or open, as it should be now; emergencies are always taken."""
        context = consumer.app.worker_context
        if context.lane != "control":
            return "open"
        hold = consumer.app.holds.get(context.slot)
        if hold is not None and not self._held:
            consumer.cancel_task_queue(context.queue)
            logger.warning("%s: nothing but emergencies is taken", hold)
        elif hold is None and self._held:
            consumer.add_task_queue(context.queue)
            logger.warning("%s is released", context.slot)
        self._held = hold is not None
        return "held" if self._held else "open"

    def _tick(self, consumer: Any) -> None:
        app = consumer.app
        context = app.worker_context
        try:
            if not context.renew_lease():
                logger.critical("another worker has taken over %s; this one stops", context.queue)
                state.should_stop = LEASE_LOST_EXIT
                return
            self._say(app, context)
            self.apply_hold(consumer)
        except AWAY as cause:
            logger.debug("Redis is away: %s", cause)

    def _say(self, app: Any, context: Any) -> None:
        about = {name: dumps(value) for name, value in {**context.about, "held": self._held}.items()}
        with app.store.pipeline(transaction=True) as pipe:
            pipe.hset(keys.worker(context.publisher), mapping=about)
            pipe.expire(keys.worker(context.publisher), _ALIVE_FOR_S)
            pipe.execute()


@control_command()  # type: ignore[untyped-decorator]
def apply_hold(state: Any, **_kwargs: Any) -> dict[str, str]:
    """Look at the slot's hold now; answers once it is applied."""
    return {"ok": state.consumer.smurfq_keeper.apply_hold(state.consumer)}
