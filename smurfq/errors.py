"""Every error that smurfq raises.

One root, two levels. An error carries its fields in ``fields`` and as attributes, and is rebuilt whole from
``args``, which is how Celery's JSON result brings it to a client. A message says what was expected, what came,
for which slot and task, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SmurfqError(Exception):
    """The root of all errors that smurfq raises."""

    def __init__(self, message: str, fields: Mapping[str, Any] | None = None, **more: Any) -> None:
        self.message = message
        self.fields: dict[str, Any] = {**(fields or {}), **more}
        super().__init__(message, self.fields)

    def __str__(self) -> str:
        return self.message

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class ConfigError(SmurfqError, ValueError):
    """The site file or a ``SMURFQ_*`` variable is unknown, ill-typed or contradicts another."""


class MessageError(SmurfqError, ValueError):
    """A datagram is not a message of the pysmurf Publisher."""


class RequestError(SmurfqError):
    """A request was refused before it was queued or touched the hardware."""


class ParameterError(RequestError, ValueError):
    """A parameter of an operation is unknown, missing, ill-typed or out of its range."""


class UnknownOperationError(RequestError, LookupError):
    """The name asked for is no operation of smurfq."""


class UnknownSlotError(RequestError, LookupError):
    """The slot asked for is not in the site's configuration."""


class UnknownWorkflowError(RequestError, LookupError):
    """The workflow asked for is neither a shipped one nor a file that may be run."""


class BatchError(RequestError, ValueError):
    """Some submissions of a batch are refused, and so none of it was queued."""


class UnsupportedOptionError(RequestError, ValueError):
    """A Celery option was given that would break a slot's guarantees (``eta``, ``countdown``, ``queue``, …)."""


class RegisterValueError(RequestError, ValueError):
    """A register of a simulated slot was given what it cannot hold."""


class OperationError(SmurfqError, RuntimeError):
    """An operation ended without success."""


class OperationFailedError(OperationError):
    """The operation raised, or its library reported failure."""


class OtherSlotError(OperationFailedError, PermissionError):
    """The operation tried to open a slot that is not its own; no register of that slot was touched."""


class OperationAbortedError(OperationError):
    """The operation was aborted; it has ended and its processes are gone."""


class OperationDiedError(OperationError):
    """The operation's process ended without a result: by a signal, an exit code, or for lack of memory."""


class OperationTimeLimitError(OperationError, TimeoutError):
    """The operation ran past its time limit and was ended."""


class WorkflowHaltedError(OperationError):
    """A workflow ended early: too few of its slots were left, or too many had been dropped."""


class OperationLostError(OperationError):
    """The worker that ran the operation, or the message that asked for it, is gone."""


class SlotError(SmurfqError):
    """A slot cannot do now what was asked."""


class SlotBusyError(SlotError, BlockingIOError):
    """Another process still holds the slot's card."""


class SlotHeldError(SlotError):
    """The slot is held by somebody else."""


class SlotLockedError(RequestError, SlotError):
    """The slot is locked by somebody else, and takes the lock's owner's submissions only."""


class DuplicateError(RequestError, SlotError):
    """The same is asked of the slot already, by a submission that waits or runs; or its id is taken."""


class ForkSafetyError(SlotError):
    """The process that operations are forked from has touched Channel Access: its children would read stale values."""


class ServiceError(SmurfqError):
    """A service that smurfq needs did not answer as expected."""


class StoreUnavailableError(ServiceError, ConnectionError):
    """Redis did not answer."""


class BridgeUnavailableError(ServiceError, ConnectionError):
    """The UDP bridge did not answer."""


class StreamError(ServiceError, RuntimeError):
    """A simulated slot's g3 stream cannot be opened, written or closed."""


class StartError(ServiceError):
    """A process of smurfq could not be started, or did not become ready in time."""


class RecordNotFoundError(ServiceError, LookupError):
    """No session record is known by this id."""


class WaitTimeoutError(ServiceError, TimeoutError):
    """What was waited for did not happen in the time given; it may still happen."""
