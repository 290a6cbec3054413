"""Defines every error that smurfq raises.

There is one base class and two levels below it. An error has its fields in ``fields`` and as attributes. Celery
rebuilds it from the ``args`` in its JSON results, with all its fields. A message says what was expected, what was
received, for which slot and task, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class SmurfqError(Exception):
    """The base class of all errors that smurfq raises."""

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
    """The site file or a ``SMURFQ_*`` variable is unknown, has the wrong type, or contradicts another."""


class MessageError(SmurfqError, ValueError):
    """A datagram is not a valid message of the pysmurf Publisher."""


class RequestError(SmurfqError):
    """A request was rejected before it was queued or touched the hardware."""


class ParameterError(RequestError, ValueError):
    """A parameter of an operation is unknown, missing, of the wrong type, or out of range."""


class UnknownOperationError(RequestError, LookupError):
    """The requested name is not an operation of smurfq."""


class UnknownSlotError(RequestError, LookupError):
    """The requested slot is not in the site's configuration."""


class UnknownWorkflowError(RequestError, LookupError):
    """The requested workflow is neither one that smurfq provides nor a file in a script folder."""


class BatchError(RequestError, ValueError):
    """Some submissions of a batch were rejected, so none of the batch was queued."""


class UnsupportedOptionError(RequestError, ValueError):
    """A Celery option would break a slot's guarantees (``eta``, ``countdown``, ``queue``, …)."""


class RegisterValueError(RequestError, ValueError):
    """A value does not fit the register of a simulated slot to which it was written."""


class OperationError(SmurfqError, RuntimeError):
    """An operation did not succeed."""


class OperationFailedError(OperationError):
    """The operation raised an exception, or its library reported failure."""


class OtherSlotError(OperationFailedError, PermissionError):
    """The operation tried to open a slot other than its own; no register of that slot was touched."""


class OperationAbortedError(OperationError):
    """The operation was aborted; all its processes have ended."""


class OperationDiedError(OperationError):
    """The operation's process ended without a result: by a signal, with an exit code, or for lack of memory."""


class OperationTimeLimitError(OperationError, TimeoutError):
    """The operation exceeded its time limit and was ended."""


class WorkflowHaltedError(OperationError):
    """A workflow ended early because too few slots were left, or too many had been dropped."""


class OperationLostError(OperationError):
    """The worker that ran the operation is gone, or the message that requested it is."""


class SlotError(SmurfqError):
    """A slot cannot fulfil the request now."""


class SlotBusyError(SlotError, BlockingIOError):
    """Another process still holds the slot's card."""


class SlotHeldError(SlotError):
    """The slot is held by somebody else."""


class SlotLockedError(RequestError, SlotError):
    """The slot is locked by somebody else, and accepts only submissions of the lock's owner."""


class DuplicateError(RequestError, SlotError):
    """A duplicate of the submission is already waiting or running on the slot, or its id is already in use."""


class ForkSafetyError(SlotError):
    """The process from which operations are forked has used Channel Access, so its children would read stale values."""


class ServiceError(SmurfqError):
    """A service that smurfq needs did not answer as expected."""


class StoreUnavailableError(ServiceError, ConnectionError):
    """Redis did not answer."""


class BridgeUnavailableError(ServiceError, ConnectionError):
    """The UDP bridge did not answer."""


class ArchiveUnavailableError(ServiceError, OSError):
    """The database of the archive cannot be written now."""


class StreamError(ServiceError, RuntimeError):
    """A simulated slot's g3 stream cannot be opened, written or closed."""


class StartError(ServiceError):
    """A process of smurfq could not be started, or did not become ready in time."""


class RecordNotFoundError(ServiceError, LookupError):
    """No session record has this id."""


class WaitTimeoutError(ServiceError, TimeoutError):
    """The expected event did not happen within the timeout; it may still happen."""
