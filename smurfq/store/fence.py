"""The fence: each attempt is claimed once, and each queue is leased to one worker.

Celery guarantees neither "never twice" nor "never two at once" (``docs/decisions/0002-fence.md``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from smurfq.core import keys
from smurfq.core.jsonsafe import dumps, loads
from smurfq.core.process_id import ProcessId
from smurfq.store.connection import Client, replicas_to_wait_for
from smurfq.store.lua_scripts import lua_script
from smurfq.store.redis_errors import WritesRefusedError

_NOBODYS = -1
_GIVEN_UP = "nobody: it was given up"
_WAIT_MS = 1000
_RELEASED_MS = 1000
_RAN_KEPT = 16


@dataclass(frozen=True)
class Running:
    """The present run of a publisher id: the task, its Celery request, and its processes."""

    task_id: str
    op_name: str
    slot: str
    publisher: str
    host: str
    lease: str  # token of the worker that runs it
    started: float  # s since 1970
    request: dict[str, Any] = field(default_factory=dict)
    processes: list[ProcessId] = field(default_factory=list)


@dataclass(frozen=True)
class Ran:
    """A recent run of a publisher id. Times are those of its host's clock, in s since 1970."""

    task_id: str
    host: str
    started: float
    ended: float


@dataclass(frozen=True)
class Claim:
    """The answer to a claim: ``ok``, or the reason why the claim was rejected.

    ``final``: the task has already ended (``detail``: its state). ``claimed``: somebody else has claimed this attempt
    (``detail``: who). ``unleased``: another worker has the lease (``detail``: its token), for example because this
    worker was paused after it had taken the message. ``busy``: the claimant has the lease, but another task is noted as
    running on the slot (``detail``: its ``Running``).
    """

    answer: str
    detail: str

    @property
    def ok(self) -> bool:
        """True if the task may run."""
        return self.answer == "ok"


class Fence:
    """Claims, leases and the notes of present runs."""

    def __init__(self, client: Client, expires_s: float) -> None:
        self._client = client
        self._expires_s = int(expires_s)
        self._replicas = replicas_to_wait_for(client)
        self._change_running = client.register_script(lua_script("change_running"))
        self._note_again = client.register_script(lua_script("note_again"))
        self._finished = client.register_script(lua_script("finish_running"))
        self._renew = client.register_script(lua_script("renew_lease"))
        self._release = client.register_script(lua_script("release_lease"))

    def claim(self, running: Running, name: str, retries: int, who: str, started_meta: str) -> Claim:
        """Claim one attempt of a task, in one atomic step. See ``Claim`` for the reasons of a rejection.

        Raises
        ------
        WritesRefusedError
            No replica has the claim, so a failover might lose it. Claim again.
        """
        answer, detail = self._lasting(
            "claim",
            keys=[
                keys.meta(running.task_id),
                keys.claim(running.task_id, name, retries),
                keys.running(running.publisher),
                keys.record(running.task_id),
                keys.WAITING,
                keys.lease(running.publisher),
            ],
            args=[
                who,
                dumps(asdict(running)),
                started_meta,
                self._expires_s,
                dumps(running.request),
                running.task_id,
                running.lease,
            ],
        )
        return Claim(answer, detail)

    def give_up(self, task_id: str, name: str) -> bool:
        """Claim the first attempt of a task, so that nobody runs it. Return false if somebody has claimed it before."""
        claim = keys.claim(task_id, name, 0)
        return bool(self._client.set(claim, _GIVEN_UP, nx=True, ex=self._expires_s)) or (
            self._client.get(claim) == _GIVEN_UP  # by a process that died before it wrote the outcome
        )

    def running(self, publisher: str) -> Running | None:
        """Return the present run of a publisher id, if there is one."""
        return parse_running(self._client.get(keys.running(publisher)))  # type: ignore[arg-type]

    def running_of(self, publishers: Sequence[str]) -> dict[str, Running]:
        """Return the present run of each of several publisher ids that has one."""
        texts: list[str | None] = self._client.mget(map(keys.running, publishers)) if publishers else []  # type: ignore[assignment]
        found = zip(publishers, map(parse_running, texts), strict=True)
        return {publisher: running for publisher, running in found if running is not None}

    def note_processes(self, running: Running) -> bool:
        """Note the processes of the present run; return false if another run has replaced it."""
        return bool(
            self._change_running(
                keys=[keys.running(running.publisher)], args=[dumps(running.task_id), dumps(asdict(running))]
            )
        )

    def note_again(self, running: Running, instead_of: Running | None = None) -> bool:
        """Write the note of the present run again if Redis lost it and its worker has the lease; return whether.

        If the note names ``instead_of``, a run that has ended, it is replaced.
        """
        names = [keys.lease(running.publisher), keys.running(running.publisher)]
        replaced = dumps(instead_of.task_id) if instead_of is not None else ""
        return bool(self._note_again(keys=names, args=[running.lease, dumps(asdict(running)), replaced]))

    def finished(self, running: Running) -> bool:
        """Remove the note of the present run, and add it to the recent runs; false if the note names another task."""
        ran = Ran(running.task_id, running.host, running.started, time.time())
        return bool(
            self._finished(
                keys=[keys.running(running.publisher), keys.recent_runs(running.publisher)],
                args=[dumps(running.task_id), dumps(asdict(ran)), _RAN_KEPT, self._expires_s],
            )
        )

    def mark_needs_make_safe(self, publisher: str, reason: str) -> None:
        """Note that a card was left in an unknown state. The next operation makes the card safe first."""
        self._client.set(keys.needs_make_safe(publisher), reason)

    def take_needs_make_safe(self, publisher: str) -> str | None:
        """Remove the note that a card was left in an unknown state; return the reason, or None if there is no note."""
        return self._client.getdel(keys.needs_make_safe(publisher))  # type: ignore[return-value]

    def take_lease(self, queue: str, token: str, ttl_s: float) -> bool:
        """Take or renew the lease of a queue; return false while another worker has it.

        Raises
        ------
        WritesRefusedError
            No replica has the new lease, so a failover might lose it. The lease was released again.
        """
        names, ttl_ms = [keys.lease(queue)], int(1000 * ttl_s)
        found = self._renew(keys=names, args=[token, ttl_ms])
        if found != _NOBODYS:
            return bool(found)
        try:
            return bool(self._lasting("take_lease", keys=names, args=[token, ttl_ms]))
        except WritesRefusedError:
            self._release(keys=names, args=[token, 0])
            raise

    def _lasting(self, script: str, keys: list[str], args: list[Any]) -> Any:
        """Run the script of this name, and return its answer when enough replicas have its writes."""
        with self._client.pipeline(transaction=False) as pipe:  # WAIT waits for its own connection's writes
            pipe.eval(lua_script(script), len(keys), *keys, *args)
            if self._replicas:
                pipe.wait(self._replicas, _WAIT_MS)
            answer, *known = pipe.execute()
        if known and known[0] < self._replicas:
            raise WritesRefusedError(f"{known[0]} of {self._replicas} replicas confirmed the write in {_WAIT_MS} ms")
        return answer

    def lease_left_s(self, queue: str) -> float:
        """Return the time in s until the lease of a queue expires; 0 if no worker has it."""
        left_ms: int = self._client.pttl(keys.lease(queue))
        return max(0, left_ms) / 1000

    def lease_owner(self, queue: str) -> str | None:
        """Return the token of the worker that has the lease of a queue, if one has it."""
        return self._client.get(keys.lease(queue))  # type: ignore[return-value]

    def lease_owners(self, queues: Sequence[str]) -> dict[str, str]:
        """Return the token of the worker for each of several queues that is leased."""
        tokens: list[str | None] = self._client.mget(map(keys.lease, queues)) if queues else []  # type: ignore[assignment]
        return {queue: token for queue, token in zip(queues, tokens, strict=True) if token is not None}

    def release_lease(self, queue: str, token: str) -> None:
        """Release the lease of a queue if the token still has it; it expires within a second."""
        self._release(keys=[keys.lease(queue)], args=[token, _RELEASED_MS])


def parse_ran(text: str) -> Ran:
    """Return the ``Ran`` that Redis stores as ``text``."""
    return Ran(**loads(text))


def parse_running(text: str | None) -> Running | None:
    """Return the ``Running`` that Redis stores as ``text``."""
    if not text:
        return None
    values = loads(text)
    named = [ProcessId.parse(value) for value in values.get("processes", ())]
    return Running(**{**values, "processes": [who for who in named if who is not None]})
