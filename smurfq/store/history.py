"""Lists session records by time, for all slots, a slot or an operation, and finds ids by their beginning.

It also finds the last run of a slot. The time of a search depends on the number of results, not on the number of
records. An id is removed from an index ``expires_s`` after its submission. An index expires that long after the last
submission.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from redis.client import Pipeline

from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.errors import RecordNotFoundError
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script

_PAGES = (20, 500)  # ids read in one round trip, at first and at most, to select an operation's ids among a slot's
_AFTER_ANY = "\x7f"  # sorts after any character of an id


def index_keys(slot: str, operation: str) -> list[str]:
    """Return the keys of a record's indexes in the order of the Lua function ``enter``."""
    return [keys.HISTORY, keys.IDS, keys.history(slot), keys.history_of(operation), keys.newest(slot)]


class History:
    """The indexes of a site's records."""

    def __init__(self, client: Client, expires_s: float) -> None:
        self._client = client
        self._expires_s = int(expires_s)

    def queue(self, pipe: Pipeline, task_id: str, slot: str, operation: str, at: float) -> None:
        """Add the command to a pipeline that indexes a record submitted ``at`` (s since 1970), if it is not indexed."""
        found = index_keys(slot, operation)
        pipe.eval(
            lua_script("enter_history"),
            len(found),
            *found,
            task_id,
            operation,
            at,
            at - self._expires_s,
            self._expires_s,
        )

    def ids(
        self, slot: str | None = None, operation: str | None = None, count: int = 20, before: float | None = None
    ) -> list[str]:
        """Return the ids of the newest records of a slot and operation submitted ``before`` a time, newest first."""
        if slot and operation:
            return self._of_both(slot, operation, count, before)
        key = keys.history(slot) if slot else keys.history_of(operation) if operation else keys.HISTORY
        return self._page(key, 0, count, before)

    def _of_both(self, slot: str, operation: str, count: int, before: float | None) -> list[str]:
        found: list[str] = []
        start, (size, most) = 0, _PAGES
        while len(found) < count and (page := self._page(keys.history(slot), start, size, before)):
            names = fields_of(self._client, page, "op_name")
            found += [each for each, name in zip(page, names, strict=True) if name and loads(name) == operation]
            start, size = start + len(page), min(2 * size, most)
        return found[:count]

    def _page(self, key: str, start: int, count: int, before: float | None) -> list[str]:
        newest = "+inf" if before is None else f"({before}"
        return self._client.zrevrangebyscore(key, newest, "-inf", start=start, num=count)  # type: ignore[return-value]

    def newest(self, slot: str, operation: str) -> str | None:
        """Return the id of an operation's run that was submitted last for a slot; its record may have expired."""
        found: Any = self._client.hget(keys.newest(slot), operation)
        return None if found is None else str(found)

    def last(self, slots: Sequence[str]) -> dict[str, str]:
        """Return the id of the run that ended last on each of several slots; its record may have expired."""
        found: list[str | None] = self._client.hmget(keys.LAST, list(slots)) if slots else []  # type: ignore[assignment]
        return {slot: task_id for slot, task_id in zip(slots, found, strict=True) if task_id is not None}

    def find(self, start: str) -> str:
        """Return the only id that begins with ``start``, which a person typed.

        Raises
        ------
        RecordNotFoundError
            No id or several ids begin with it.
        """
        if self._client.exists(keys.record(start)):
            return start
        bounds = (f"[{start}", f"[{start}{_AFTER_ANY}")
        found: list[str] = self._client.zrangebylex(keys.IDS, *bounds, start=0, num=2)  # type: ignore[assignment]
        if len(found) == 1:
            return found[0]
        if not found:
            raise RecordNotFoundError(f"no record's id begins with {start!r}; `smurfq history` lists them", got=start)
        raise RecordNotFoundError(
            f"{self._client.zlexcount(keys.IDS, *bounds)} record ids begin with {start!r}; type more characters, "
            "`smurfq history` lists them",
            got=start,
        )


def fields_of(client: Client, task_ids: Sequence[str], name: str) -> Iterator[str | None]:
    """Yield the JSON text of one header field of several records, in one round trip."""
    with client.pipeline(transaction=False) as pipe:
        for task_id in task_ids:
            pipe.hget(keys.record(task_id), name)
        yield from pipe.execute()
