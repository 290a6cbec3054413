"""The newest values of the registers that the smurf servers publish, and their alarms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.published_registers import Alarm, RegisterValue
from smurfq.store.connection import Client


class Registers:
    """The registers of a site. Values are kept for ``expires_s`` after the last one of their slot."""

    def __init__(self, client: Client, expires_s: float = 0.0) -> None:
        self._client = client
        self._expires_s = expires_s

    def write(self, values: Mapping[str, Mapping[str, RegisterValue]]) -> None:
        """Write new values by slot and path."""
        with self._client.pipeline(transaction=False) as pipe:
            for slot, of_slot in values.items():
                texts: dict[Any, Any] = {path: value.to_text() for path, value in of_slot.items()}
                pipe.hset(keys.registers(slot), mapping=texts)
                if self._expires_s:
                    pipe.pexpire(keys.registers(slot), int(1000 * self._expires_s))
            pipe.execute()

    def read(self, slot: str) -> dict[str, RegisterValue]:
        """Return the newest value of each register of a slot, by path."""
        found: Mapping[str, str] = self._client.hgetall(keys.registers(slot))  # type: ignore[assignment]
        return {path: RegisterValue.parse(text) for path, text in sorted(found.items())}

    def write_alarms(self, slot: str, alarms: Iterable[Alarm]) -> None:
        """Write the present alarms of a slot."""
        listed = [list(alarm) for alarm in alarms]
        if listed:
            self._client.hset(keys.REGISTER_ALARMS, slot, dumps(listed))
        else:
            self._client.hdel(keys.REGISTER_ALARMS, slot)

    def alarms(self) -> dict[str, list[Alarm]]:
        """Return the present alarms of each slot that has any."""
        found: Mapping[str, str] = self._client.hgetall(keys.REGISTER_ALARMS)  # type: ignore[assignment]
        return {slot: [Alarm(*values) for values in loads(text)] for slot, text in found.items()}
