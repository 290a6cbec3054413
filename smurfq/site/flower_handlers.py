"""Rejects or checks requests to Flower. Imports Flower, so import this module only to start Flower.

A request that writes a state over a running operation's is rejected here. Requests that change a worker (its
processes, queues or limits) are remote commands, which the worker itself rejects; Flower answers 403 with its reason.
Requests that submit go through the checks of ``SmurfqApp.send_task``; what they reject is answered with 400 (if the
slot is locked or has the same already: 409) and not with 500.
"""

from __future__ import annotations

from typing import Any

from flower.api import BaseApiHandler
from flower.api.tasks import TaskApply, TaskAsyncApply, TaskSend
from tornado import web

from smurfq import operations
from smurfq.errors import RequestError, SlotError, UnknownOperationError

_UNUSABLE = (TypeError, ValueError, LookupError, AttributeError, RecursionError)


class _RejectedAbort(BaseApiHandler):  # type: ignore[misc]
    """Rejects Celery's abort, which only writes a state."""

    @web.authenticated
    async def post(self) -> None:
        """Reject the request with 403 and the reason."""
        why = "it would write ABORTED over a running operation's state; use `smurfq abort`"
        raise web.HTTPError(403, f"rejected by smurfq: {why}")


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
    handlers: dict[str, type[Any]] = {
        r"/api/task/abort/.+": _RejectedAbort,
        r"/api/task/apply/(.+)": _guarded(TaskApply),
        r"/api/task/async-apply/(.+)": _guarded(TaskAsyncApply),
        r"/api/task/send-task/(.+)": _guarded(TaskSend),
    }
    flower.add_handlers(r".*", [(prefix + path, handler) for path, handler in handlers.items()])
