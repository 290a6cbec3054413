"""Rejects or checks requests to Flower. Imports Flower, so import this module only to start Flower.

Celery's remote control can break the protection of a card: with a second pool process, another slot's queue, a pause
that a restart forgets, or a state that overwrites a running operation's. Such requests are rejected, with a hint about
the right command. Requests that submit a task go through the checks of ``SmurfqApp.send_task``. If these reject it, the
answer is 400 (409 if the slot is locked or has a duplicate), not 500.
"""

from __future__ import annotations

from typing import Any

from flower.api import BaseApiHandler
from flower.api.tasks import TaskApply, TaskAsyncApply, TaskSend
from tornado import web

from smurfq import operations
from smurfq.errors import RequestError, SlotError, UnknownOperationError

_UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, RecursionError)
_POOL = "a slot's worker has exactly one process: two would drive one card at the same time"
CLOSED = {
    r"/api/task/abort/.+": "it would write ABORTED over a running operation's state; use `smurfq abort`",
    r"/api/worker/pool/(?:grow|shrink|autoscale|restart)/.+": _POOL,
    r"/api/worker/queue/add-consumer/.+": "a worker serves only its own slot's queues",
    r"/api/worker/queue/cancel-consumer/.+": "Celery forgets it at a restart; use `smurfq hold`",
    r"/api/task/rate-limit/.+": "it would delay an operation without a notice; use `smurfq hold`",
    r"/api/task/timeout/.+": "Celery's time limits do not make the card safe; set limits.operations instead",
}


class Closed(BaseApiHandler):  # type: ignore[misc]
    """A handler that rejects every request."""

    def initialize(self, why: str) -> None:
        """Store the reason."""
        self._why = why

    @web.authenticated
    async def post(self) -> None:
        """Reject the request with 403 and the reason."""
        raise web.HTTPError(403, f"closed by smurfq: {self._why}")


def _guarded(handler: type[Any]) -> type[Any]:
    """Return ``handler``, which submits tasks, with answers that say what smurfq rejected and why."""

    class Guarded(handler):  # type: ignore[misc]
        @web.authenticated
        async def post(self, name: str) -> None:
            try:
                operations.operation(name)  # Flower knows Celery's own tasks too
                await super().post(name)
            except UnknownOperationError as error:
                raise web.HTTPError(400, str(error).replace("%", "%%")) from error
            except web.HTTPError as error:
                if isinstance(error.__cause__, RequestError):
                    status = 409 if isinstance(error.__cause__, SlotError) else 400
                    raise web.HTTPError(status, str(error.__cause__).replace("%", "%%")) from error
                if isinstance(error.__cause__, _UNUSABLE):
                    raise _unusable(error.__cause__) from error
                raise
            except _UNUSABLE as error:
                raise _unusable(error) from error

    Guarded.__name__ = f"Guarded{handler.__name__}"
    return Guarded


def _unusable(error: BaseException) -> web.HTTPError:
    told = f"the body is invalid: {type(error).__name__}: {error}"
    return web.HTTPError(400, told.replace("%", "%%"))


def add_to(flower: web.Application, url_prefix: str | None) -> None:
    """Add smurfq's handlers before Flower's own."""
    prefix = f"/{url_prefix.strip('/')}" if url_prefix else ""
    doors: list[tuple[str, type[Any], dict[str, str]]] = [
        (prefix + path, Closed, {"why": why}) for path, why in CLOSED.items()
    ]
    guarded: dict[str, type[Any]] = {
        r"/api/task/apply/(.+)": TaskApply,
        r"/api/task/async-apply/(.+)": TaskAsyncApply,
        r"/api/task/send-task/(.+)": TaskSend,
    }
    doors += [(prefix + path, _guarded(handler), {}) for path, handler in guarded.items()]
    flower.add_handlers(r".*", doors)
