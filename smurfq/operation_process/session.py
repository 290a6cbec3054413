"""The session of an operation: the interface of ``S._ocs_session`` in sodetlib, and additions of smurfq."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from smurfq.config import Settings
from smurfq.core import session as events
from smurfq.core.jsonsafe import plain
from smurfq.core.session import Event
from smurfq.core.stages import KEY as STAGES
from smurfq.core.stages import new_stages
from smurfq.errors import OperationAbortedError
from smurfq.operation_process import wire

CARD_AT_START = "card"  # the kind of a frame that is for the runner, and not for the record
_POLL_S = 0.05


class SessionData(dict[str, Any]):
    """The session data; each item that is set or removed is sent at once.

    A value that is changed in place (``data["x"].append(…)``) is sent at the operation's end.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        super().__init__()
        self._emit = emit
        self._sent: dict[str, Any] = {}

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._send({key: value})

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        self._send_removed([key])

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set several items at once."""
        values = dict(*args, **kwargs)
        super().update(values)
        self._send(values)

    def observe(self, values: Mapping[str, Any], *, clock: str) -> None:
        """Set values that are read periodically: only changes are recorded. The time ``clock`` is shown only."""
        super().update(values)
        changed = {k: v for k, v in values.items() if k != clock and (k not in self._sent or self._sent[k] != plain(v))}
        self._send(changed)
        self._sent[clock] = plain(values[clock])
        self._emit(events.data_shown({clock: self._sent[clock]}, time.time()))

    def __ior__(self, other: Any) -> SessionData:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the item; set it to ``default`` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Remove an item, and return it."""
        present = key in self
        value = super().pop(key, *default)
        if present:
            self._send_removed([key])
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last item, and return it."""
        key, value = super().popitem()
        self._send_removed([key])
        return key, value

    def clear(self) -> None:
        """Remove all items."""
        names = list(self)
        super().clear()
        self._send_removed(names)

    def replace(self, values: Mapping[str, Any]) -> None:
        """Set the items to ``values`` and remove all others."""
        gone = [key for key in self if key not in values]
        super().clear()
        super().update(values)
        if gone:
            self._send_removed(gone)
        self._send(values)

    def send_changes(self) -> None:
        """Send the items that were changed in place since they were last sent."""
        self._send({key: value for key, value in self.items() if self._sent.get(str(key)) != plain(value)})

    def _send(self, values: Mapping[Any, Any]) -> None:
        if not values:
            return
        sent = {str(key): plain(value) for key, value in values.items()}
        before: Any = self._sent.get(STAGES)
        self._sent.update(sent)
        self._emit(events.data_set(sent, time.time()))
        for name, at in new_stages(sent.get(STAGES), before):
            self._emit(events.stage(name, at))

    def _send_removed(self, names: Iterable[str]) -> None:
        for name in names:
            self._sent.pop(str(name), None)
        self._emit(events.data_removed([str(name) for name in names], time.time()))


class Session:
    """The session of a running operation, in the operation's own process."""

    def __init__(
        self,
        *,
        emit: Callable[[Event], None],
        flag: mmap.mmap,
        settings: Settings,
        slot: str,
        session_id: str,
        op_name: str,
        params: Mapping[str, Any],
    ) -> None:
        self._emit = emit
        self._flag = flag
        self._data = SessionData(emit)
        self._degraded = False
        self.settings = settings
        self.slot = slot
        self.session_id = session_id
        self.op_name = op_name
        self.params = dict(params)
        self.start_time = time.time()

    @property
    def data(self) -> SessionData:
        """The session data; items set here are seen by clients at once."""
        return self._data

    @data.setter
    def data(self, values: Mapping[str, Any]) -> None:
        self._data.replace(values)

    @property
    def stop_requested(self) -> str | None:
        """``stop`` or ``abort`` once one of them was asked for, else None."""
        return {wire.STOP: "stop", wire.ABORT: "abort"}.get(self._flag[0])

    @property
    def status(self) -> str:
        """``running``, or ``stopping`` once a stop or abort was asked for; sodetlib's ``stop_point`` looks at it."""
        return "running" if self.stop_requested is None else "stopping"

    @property
    def degraded(self) -> bool:
        """True if something is known to be wrong although the operation goes on."""
        return self._degraded

    @degraded.setter
    def degraded(self, value: bool) -> None:
        self._degraded = bool(value)
        self.header(degraded=self._degraded)

    def add_message(self, text: Any) -> None:
        """Add a line for people to the record."""
        self._emit(events.message(str(text), time.time()))

    def stage(self, name: str) -> None:
        """Record that a stage of the operation begins."""
        self._emit(events.stage(str(name), time.time()))

    def feed(self, name: str, values: Mapping[str, Any]) -> None:
        """Publish a block of a feed."""
        self._emit({"k": "feed", "t": time.time(), "name": name, "slot": self.slot, "data": plain(values)})

    def header(self, **values: Any) -> None:
        """Set fields of the record's header: ``software``, ``tunefile``, ``simulated``, ``degraded``."""
        self._emit(events.header(time.time(), **{name: plain(value) for name, value in values.items()}))

    def note_card(self, state: Mapping[str, Any] | None) -> None:
        """Have the card checked when the operation has ended, and compared with its ``state`` at the start.

        None says that the operation's children may have driven the card before its state was read, or without that.
        """
        self._emit({"k": CARD_AT_START, "t": time.time(), "state": state})

    def stop_point(self) -> None:
        """Return if no abort was asked for.

        Raises
        ------
        OperationAbortedError
            An abort was asked for.
        """
        if self.stop_requested == "abort":
            raise OperationAbortedError(f"{self.op_name} on {self.slot} was aborted at a safe point", slot=self.slot)

    def wait(self, seconds: float) -> bool:
        """Wait for ``seconds`` or until a stop is asked for, and return whether it was.

        Raises
        ------
        OperationAbortedError
            An abort was asked for.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.stop_point()
            left_s = deadline - time.monotonic()
            if self.stop_requested is not None:
                return True
            if left_s <= 0:
                return False
            time.sleep(min(_POLL_S, left_s))
