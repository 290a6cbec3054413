"""Supervises a site: starts its processes in order, watches them, and stops them in order."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence

from smurfq.bridge.passed_socket import FD_VARIABLE
from smurfq.bridge.receiver import open_socket
from smurfq.config import Settings
from smurfq.core.process_id import ProcessId
from smurfq.errors import StartError
from smurfq.host.process_control import adopt_orphans
from smurfq.site import journal, orphans, services, simulation
from smurfq.site.child import Child, Service
from smurfq.site.interrupt import Interrupts
from smurfq.site.journal import Entry, Journal, State
from smurfq.site.watched import Say, Watched
from smurfq.store import connect, patiently
from smurfq.store.connection import require_access

_LOOK_EVERY_S = 0.2
_SAY_EVERY_S = 10.0
_REDIS_ANSWERS_WITHIN_S = 10.0

OnReady = Callable[[State, list[Entry]], None]


class Site:
    """The processes of a site on this machine.

    Parameters
    ----------
    settings
        The settings of the site.
    slots
        The slots whose workers are started.
    flower
        Whether Flower is started.
    sim
        Whether the slots are simulated here. ``settings`` must then come from `simulation.simulated`.
    say
        Called with each line for the user.
    """

    def __init__(self, settings: Settings, slots: Sequence[str], *, flower: bool, say: Say, sim: bool = False) -> None:
        self._settings = settings
        self._say = say
        self._state: State = "starting"
        self._interrupts = Interrupts()
        self._with_flower = flower
        self._with_sim = sim
        self._valkey = self._watch([services.valkey_service(settings)] if settings.redis.url is None else [])
        self._bridge = self._watch([services.bridge_service(settings)])
        registers = settings.archive.database is not None
        self._archive = self._watch([services.archive_service(settings)] if registers else [])
        self._flower = self._watch([services.flower_service(settings)] if flower else [])
        self._sim = self._watch([simulation.simulator_service(settings, slots)] if sim else [])
        self._workers = self._watch([services.worker_service(settings, slots)])
        self._workflows = self._watch([services.workflows_service(settings)])
        self._rest = [*self._bridge, *self._archive, *self._flower, *self._sim, *self._workers, *self._workflows]
        self._all = [*self._valkey, *self._rest]

    def _watch(self, found: Iterable[Service]) -> list[Watched]:
        return [Watched(Child(service, self._settings.log_dir)) for service in found]

    def run(self, ready_within_s: float, on_ready: OnReady) -> None:
        """Start the site, watch it until SIGINT or SIGTERM, and stop it.

        ``on_ready`` is called once: when all processes are ready, or when ``ready_within_s`` is over.

        Raises
        ------
        StartError
            The site is up already, a port is in use, a package is missing, or Valkey or the bridge did not
            become ready. No process is left running.
        """
        state_dir = self._settings.state_dir
        with journal.only_one(state_dir), self._interrupts:
            adopt_orphans()
            orphans.end_orphans(state_dir, self._say)
            services.check_startable(self._settings, flower=self._with_flower)
            if self._with_sim:
                simulation.require_port(self._settings)
            bridge = self._settings.bridge
            with open_socket(bridge.host, bridge.port, bridge.receive_buffer_bytes) as bound:
                self._bridge[0].child.pass_socket(FD_VARIABLE, bound)
                self._run(time.monotonic() + ready_within_s, on_ready)

    def _run(self, deadline: float, on_ready: OnReady) -> None:
        try:
            self._start(deadline)
            if not self._interrupts.count:
                self._state = "ready" if all(one.state == "ready" for one in self._all) else "degraded"
                on_ready(self._state, self._entries())
                self._note()  # last: `up --detach` forwards the output until it reads this
            while not self._interrupts.count:
                self._look()
        finally:
            self._stop()
            journal.remove(self._settings.state_dir)

    def _start(self, deadline: float) -> None:
        if self._valkey:
            self._launch(self._valkey)
            self._await(self._valkey, deadline)
        else:
            require_access(self._settings.redis_url)
            patiently(connect(self._settings.redis_url).ping, give_up_after_s=_REDIS_ANSWERS_WITHIN_S)
        self._launch(self._rest)
        self._await(self._rest, deadline)

    def _launch(self, group: Iterable[Watched]) -> None:
        for one in group:
            if not self._interrupts.count:
                one.start()
        self._note()

    def _await(self, group: Sequence[Watched], deadline: float) -> None:
        """Wait until all of ``group`` are ready, the deadline has passed, or the site is asked to stop."""
        say_at = time.monotonic() + 1.0
        while not self._interrupts.count:
            self._look()
            waiting = [one for one in group if one.state != "ready"]
            for one in waiting:
                if one.child.service.essential and one.deaths:
                    raise StartError(one.end(), service=one.name)
            now = time.monotonic()
            if not waiting:
                return
            if now >= deadline:
                for one in waiting:
                    self._not_ready(one)
                return
            if now >= say_at:
                others = f", and for {len(waiting) - 1} more" if len(waiting) > 1 else ""
                self._say(f"waiting for {waiting[0].name}: {waiting[0].child.service.waits_for}{others}")
                say_at = now + _SAY_EVERY_S

    def _not_ready(self, one: Watched) -> None:
        text = one.with_tail(f"{one.name} was not ready in time; it still waits for {one.child.service.waits_for}")
        if one.child.service.essential:
            raise StartError(text, service=one.name)
        self._say(text)

    def _look(self) -> None:
        """Check every process once, then pause. A death or a signal ends the pause."""
        changed = [one.look(self._say) for one in self._all]
        if any(changed):
            self._note()
        if self._interrupts.pause(_LOOK_EVERY_S):
            orphans.reap(self._pids())

    def _stop(self) -> None:
        """Stop workflows and workers first, while the bridge still receives their last messages, and Valkey last."""
        self._state = "stopping"
        self._note()
        self._stop_group("the workflows", self._workflows)  # first: the workers then end the workflows' operations
        self._stop_group("the workers", self._workers)
        orphans.kill(self._pids(), self._say)
        self._stop_group("the simulated slots", self._sim)
        self._stop_group("the bridge", self._bridge)
        self._stop_group("the registrar of the archive", self._archive)
        self._stop_group("Flower", self._flower)
        self._stop_group("Valkey", self._valkey)
        orphans.kill(set(), self._say)
        self._say("the site is stopped")

    def _stop_group(self, what: str, group: Sequence[Watched]) -> None:
        running = [one.child for one in group if one.child.running]
        if not running:
            return
        patience_s = max(child.service.stop_s for child in running)
        self._say(f"stopping {what} (at most {patience_s:.0f} s; Ctrl-C again: sooner; a third time: at once)")
        for child in running:
            child.ask_to_end()
        deadline = time.monotonic() + patience_s
        asked = first = max(self._interrupts.count, 1)
        while any(child.running for child in running) and time.monotonic() < deadline:
            self._interrupts.pause(_LOOK_EVERY_S)
            if self._interrupts.count > first + 1:
                break
            if self._interrupts.count > asked:
                asked = self._interrupts.count
                for child in running:
                    child.ask_to_end()
        for child in running:
            if child.running:
                self._say(f"{child.service.name} did not end: killed, with its child processes; log: {child.log_path}")
            child.kill()

    def _pids(self) -> set[int]:
        return {one.child.pid for one in self._all if one.child.pid is not None}

    def _entries(self) -> list[Entry]:
        return [one.entry() for one in self._all]

    def _note(self) -> None:
        present = Journal(self._state, ProcessId.of(os.getpid()), self._entries())
        journal.write(self._settings.state_dir, present)
