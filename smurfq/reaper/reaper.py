"""Finds runs whose worker is gone, and gives them a final state."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from celery.utils.log import get_logger

from smurfq.app import SmurfqApp
from smurfq.core.session import Outcome
from smurfq.core.slot import WORKER_LANES, WORKFLOWS, publisher_id, queue_name, workflow_seats
from smurfq.host import processes
from smurfq.host.lock import lock_path
from smurfq.host.orphans import Ended, end_orphans
from smurfq.reaper.lost_errors import worker_gone
from smurfq.reaper.lost_messages import LostMessages
from smurfq.reaper.outcome_writer import OutcomeWriter
from smurfq.store.bridge import Bridges
from smurfq.store.connection import require_writes
from smurfq.store.fence import Running
from smurfq.store.leashes import Leashes
from smurfq.store.redis_errors import AWAY

logger = get_logger(__name__)

WORKER_GONE_S = 30.0  # without a lease for this long, while Redis answers: its worker is gone
SERVER_GONE_S = 180.0  # the same for a worker on another host: the network may only be down for a while


class Reaper:
    """Gives up the runs that have lost their worker or their message."""

    def __init__(
        self, app: SmurfqApp, clock: Callable[[], float] = time.monotonic, outcomes: OutcomeWriter | None = None
    ) -> None:
        self._app = app
        self._clock = clock
        self._outcomes = outcomes or OutcomeWriter(app)
        self._messages = LostMessages(app, clock)
        self._unleased_since: dict[str, float] = {}

    def sweep(self) -> list[str]:
        """Give up what is lost, and return the ids of its tasks; called every few seconds, by any process."""
        try:
            require_writes(self._app.store)
            return [*_given_up(self._without_worker()), *_given_up(self._messages.found())]
        except AWAY:
            self._unleased_since.clear()  # nobody could renew a lease
            raise

    def reap(self, publisher: str, by: str | None = None) -> Running | None:
        """End the run that is noted under a publisher id, and whose worker is gone; None if there is none.

        ``by`` is the token of a worker that has the lease. A worker that was stopped for a while, and goes on without
        knowing that another has taken over, ends nothing of the other's.
        """
        running = self._app.fence.running(publisher)
        owner = self._app.fence.lease_owner(publisher)
        if running is None or (owner == running.lease != by) or (by is not None and owner not in (None, by)):
            return None
        if running.host == socket.gethostname():
            self._end_processes(running)
        self._conclude(running)
        self._app.fence.finished(running)
        return running

    def _without_worker(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """The runs whose worker has had no lease for long, each with the function that ends it."""
        served = self._served()
        all_running = self._not_of_others(self._app.fence.running_of([publisher for publisher, _ in served]))
        owners = self._app.fence.lease_owners([leased for publisher, leased in served if publisher in all_running])
        for publisher, leased in served:
            running = all_running.get(publisher)
            if running is None or owners.get(leased) == running.lease:
                self._unleased_since.pop(publisher, None)
            elif self._clock() - self._unleased_since.setdefault(publisher, self._clock()) >= _patience_s(running):
                yield running.task_id, partial(self.reap, publisher)

    def _not_of_others(self, found: dict[str, Running]) -> dict[str, Running]:
        """Leave out the runs on other hosts that have a bridge: only a process there can end what is left of them."""
        here = socket.gethostname()
        if all(running.host == here for running in found.values()):
            return found
        others = Bridges(self._app.store).living_hosts() - {here}
        return {publisher: running for publisher, running in found.items() if running.host not in others}

    def _served(self) -> list[tuple[str, str]]:
        """All publisher ids under which something may run, each with the key that its worker leases."""
        settings = self._app.settings
        lanes = [(publisher_id(slot, lane), queue_name(slot, lane)) for slot in settings.slots for lane in WORKER_LANES]
        return lanes + [(seat, seat) for seat in workflow_seats(settings.workflows.at_once)]

    def _end_processes(self, running: Running) -> None:
        """End what is left of an operation whose supervisor is gone, and say so in its record."""
        killed = processes.kill_groups(running.processes)
        left = end_orphans(running.task_id, lock_path(self._app.settings.state_dir, running.publisher))
        self._outcomes.note_ended(running.task_id, running.op_name, Ended(killed + left.ended, left.remaining))

    def _conclude(self, running: Running) -> None:
        """Give the run the outcome that its record has, or ``lost``."""
        if self._outcomes.conclude_ended(running):
            return
        if running.slot == WORKFLOWS:
            Leashes(self._app.store).end(running.task_id, f"its workflow {running.task_id[:8]} is lost")
        self._app.fence.mark_needs_make_safe(
            running.publisher, f"the worker of {running.op_name}[{running.task_id}] died"
        )
        error = worker_gone(running)
        logger.error("%s", error)
        self._outcomes.conclude(running, error, Outcome.LOST)


def _patience_s(running: Running) -> float:
    """How long a run may be without its worker's lease."""
    return WORKER_GONE_S if running.host == socket.gethostname() else SERVER_GONE_S


def _given_up(found: Iterable[tuple[str, Callable[[], object]]]) -> Iterator[str]:
    """Give up each of these runs: one that cannot be given up must not keep the others waiting."""
    for task_id, give_up in found:
        try:
            if give_up():
                yield task_id
        except AWAY:
            raise
        except Exception:
            logger.exception("cannot give up %s", task_id)
