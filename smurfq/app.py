"""The Celery application: ``smurfq.app:app``.

Every submission (``.delay()``, a canvas, Flower, ``send_task``) passes through ``SmurfqApp.send_task``, which checks
it, derives the queue from its slot, and writes its record before it queues the message.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from celery.app.task import Context
from celery.result import AsyncResult
from celery.utils import uuid
from celery.utils.log import get_logger
from kombu.exceptions import OperationalError

from smurfq import operations
from smurfq.celery_app.settings import celery_settings
from smurfq.celery_app.site_app import SiteApp
from smurfq.core import message_headers
from smurfq.core.celery_options import check_options
from smurfq.core.message_headers import handed_on, operations_in
from smurfq.core.session import Outcome, SessionRecord
from smurfq.core.slot import publisher_id, queue_name
from smurfq.core.task_id import ALLOWED as TASK_ID_ALLOWED
from smurfq.core.task_id import is_task_id
from smurfq.errors import (
    DuplicateError,
    ParameterError,
    RequestError,
)
from smurfq.store import best_effort, patiently
from smurfq.store.admission import Item, LockCheck
from smurfq.store.queues import list_key, parse
from smurfq.submission.checks import Checked, check_canvas, check_request
from smurfq.submission.outbox import Message, Outbox

logger = get_logger(__name__)

_batch: ContextVar[list[_Formed] | None] = ContextVar("_batch", default=None)
_OWN_MEANS = ("producer", "publisher", "connection")  # Celery's options for the object that sends a message


class SmurfqApp(SiteApp):
    """The application of a site, through which all submissions pass."""

    def submit(
        self,
        operation: str,
        *,
        slot: str,
        params: Mapping[str, Any] | None = None,
        priority: str | int = "normal",
        emergency: bool = False,
        unique: bool | str = False,
        owner: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """Queue an operation for ``slot``, and return its result handle.

        ``priority`` is ``urgent``, ``normal`` or ``background``. ``emergency`` puts the operation into the emergency
        lane: holds and locks do not apply to it, and the running operation is aborted. ``unique`` rejects a duplicate
        of a waiting run; ``"running"`` rejects a duplicate of a waiting or running one. ``owner`` is the name of the
        submitter, which a locked slot compares with the lock's owner.

        Raises
        ------
        RequestError
            The operation, slot, a parameter or an option is rejected; nothing was queued.
        """
        name = operations.task_name(operations.operation(operation).name)
        if emergency:
            options["headers"] = {**options.get("headers", {}), message_headers.LANE: "emergency"}
        return self.send_task(
            name,
            kwargs={**(params or {}), "slot": slot},
            priority=priority,
            unique=unique,
            owner=owner,
            **options,
        )

    def send_task(
        self,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        *,
        task_id: str | None = None,
        chain: Any = None,
        chord: Any = None,
        link: Any = None,
        link_error: Any = None,
        **options: Any,
    ) -> AsyncResult:
        """Check a task, write its record and queue it; see ``celery.Celery.send_task``.

        Within ``batch``, the task is queued when the batch ends. In addition to Celery's options, there are ``unique``
        and ``owner``; see ``submit``.
        """
        task_id = task_id or uuid()
        if not is_task_id(task_id):
            raise ParameterError(f"{name}: task_id must be {TASK_ID_ALLOWED}; got {task_id!r}", parameter="task_id")
        try:
            linked = {"chain": chain, "chord": chord, "link": link, "link_error": link_error}
            check_options(name, kwargs, {**options, **linked})
            checked = check_request(self.slot_names, self.owner, name, args, kwargs, options)
            later = [*operations_in(chain), *operations_in(chord), *operations_in(link)]
            checks = check_canvas(self.slot_names, checked, later)
            said = checked.said(time.time())
            result, outbox = self._formed(
                name,
                checked,
                task_id=task_id,
                chain=handed_on(chain, said),
                chord=handed_on(chord, said),
                link=handed_on(link, said),
                link_error=handed_on(link_error, said),
                **options,
            )
            self._admit_or_keep(_Formed(checked, self._item(task_id, checked, outbox, options), checks, outbox.events))
        except RequestError as error:
            if self.current_worker_task is None:
                raise
            if getattr(error, "state", None) == "known":  # Celery may send the body of a chord twice
                return AsyncResult(task_id, app=self)
            # The next step of a chain: raising here would fail the step before it, which has succeeded.
            request = Context(id=task_id, chain=chain, chord=chord, errbacks=link_error, task=name)
            self.end_unrun(request, error, Outcome.FAILED)
            return AsyncResult(task_id, app=self)
        return result

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Queue all submissions of the block in one step, when the block ends: either all of them or none.

        Nothing is queued if the block raises, or if one of its submissions is rejected. This holds for ``.delay()``,
        canvases and ``submit``. The handles that they return are valid before and after.

        Raises
        ------
        SlotLockedError, DuplicateError
            One of the submissions is rejected.
        """
        if _batch.get() is not None:
            yield  # part of the surrounding batch
            return
        kept: list[_Formed] = []
        token = _batch.set(kept)
        try:
            yield
        finally:
            _batch.reset(token)
        if kept:
            self._admit(kept)

    @contextmanager
    def producer_or_acquire(self, producer: Any = None) -> Iterator[Any]:
        """Return Celery's producer. A group sends its tasks within this context; all are queued when it ends."""
        if producer is not None:
            yield producer
            return
        self.store.ping()  # raises if Redis is away; a group would otherwise wait to subscribe to its results
        with super().producer_or_acquire() as acquired, self.batch():
            yield acquired

    def _formed(self, name: str, checked: Checked, **options: Any) -> tuple[AsyncResult, Outbox]:
        """Return the handle of a task, and the message that Celery would have sent for it."""
        for means in _OWN_MEANS:
            options.pop(means, None)
        headers = {**(options.pop("headers", None) or {}), message_headers.OWNER: checked.owner}
        if checked.stream_id is not None:
            headers[message_headers.STREAM_ID] = checked.stream_id
        outbox = Outbox(self._unused_connection)
        result = super().send_task(
            name,
            args=checked.args,
            kwargs={**checked.params, "slot": checked.slot},
            queue=queue_name(checked.slot, checked.lane),
            producer=outbox,
            headers=headers,
            **options,
        )
        return result, outbox

    @cached_property
    def _unused_connection(self) -> Any:
        """Return a connection, which a producer must have. Nothing is sent through it."""
        return self.connection_for_write()

    def _item(self, task_id: str, checked: Checked, outbox: Outbox, options: Mapping[str, Any]) -> Item:
        record = SessionRecord(
            session_id=task_id,
            op_name=checked.operation.name,
            slot=checked.slot,
            stream_id=self.slot_names.shown(checked.slot),
            params=checked.params,
            submit_time=time.time(),
            parent_id=options.get("parent_id"),
            root_id=options.get("root_id"),
            submitted_by=checked.owner,
        )
        (message,) = outbox.messages
        return Item(
            record=record,
            key=list_key(message.queue, message.priority),
            text=message.text(),
            message=message.kept(),
            fingerprint=message_headers.fingerprint(checked.operation.name, checked.slot, checked.params),
            publisher=publisher_id(checked.slot, checked.lane),
            unique=checked.unique,
        )

    def _admit_or_keep(self, formed: _Formed) -> None:
        kept = _batch.get()
        if kept is None:
            self._admit([formed])
            return
        same = [other for other in kept if other.item.fingerprint == formed.item.fingerprint]
        if same and formed.item.unique:
            record = formed.item.record
            raise DuplicateError(
                f"{record.op_name} on {record.slot}: the batch has this operation with the same parameters already; "
                "remove one of them",
                slot=record.slot,
                operation=record.op_name,
                session_id=same[0].item.record.session_id,
                state="waiting",
            )
        kept.append(formed)

    def _admit(self, formed: Sequence[_Formed]) -> None:
        items = [one.item for one in formed]
        checks = [check for one in formed for check in one.checks]
        nonce = uuid()

        def admit() -> None:
            self.site_store.admission.admit(items, checks, nonce)

        if self.current_worker_task is None:
            admit()
        else:
            patiently(admit)  # the next step of a chain: nobody else would send it
        for one in formed:
            self._tell(one.events)

    def _tell(self, events: Sequence[tuple[Any, dict[str, Any]]]) -> None:
        """Send the events of messages that have been queued. If this fails, the messages stay queued."""
        with best_effort("no event of a submission", OperationalError), super().producer_or_acquire() as producer:
            for body, options in events:
                producer.publish(body, **options)

    def resend(self, task_id: str, message: Mapping[str, Any]) -> None:
        """Send a kept message again. If the first one still exists, the claim drops one of the two."""
        again = Message.from_kept(message)
        self.waiting.send_again(task_id, list_key(again.queue, again.priority), again.text())

    def fail_kept(self, message: Mapping[str, Any], error: Exception, outcome: Outcome) -> None:
        """Give a task whose message was lost, and the rest of its chain, a final state. ``message`` is its copy."""
        kept = Message.from_kept(message)
        key = list_key(kept.queue, kept.priority)
        self.fail_waiting(parse(kept.text(), key, kept.priority, kept.queue), error, outcome)


@dataclass(frozen=True)
class _Formed:
    """A submission that is ready to be queued."""

    checked: Checked
    item: Item
    checks: list[LockCheck]
    events: list[tuple[Any, dict[str, Any]]]


app = SmurfqApp("smurfq")
app.add_defaults(lambda: celery_settings(app.settings))
