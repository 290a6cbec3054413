"""Starts a slot's worker: checks, imports, lease, Celery. ``python -m smurfq.worker_boot --slot crate1slot2``.

pysmurf and sodetlib are imported once. The control lane and the state lane are forked from this process. Each is a
Celery worker, and both share the memory of the imported modules. This process stays as their parent: it passes signals
to them, and restarts a lane that ended unexpectedly. It can serve several slots, which then share that memory too.
"""

from __future__ import annotations

import gc
import importlib.util
import logging
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
from celery import signals as celery_signals

from smurfq import __version__, smurf_control, tasks
from smurfq.app import SmurfqApp, app
from smurfq.config import Settings
from smurfq.core import keys
from smurfq.core.private_files import make_folder
from smurfq.core.slot import WORKER_LANES, WORKFLOWS, Lane, both_names, queue_name, worker_name
from smurfq.errors import SmurfqError
from smurfq.host.operation_mark import CANNOT_MARK, can_mark
from smurfq.host.process_control import adopt_orphans
from smurfq.operation_process.environment import environment, publisher_warning
from smurfq.pool_child.context import WorkerContext
from smurfq.pool_child.runner import runner_of
from smurfq.reaper import Reaper
from smurfq.store import best_effort, patiently
from smurfq.store.connection import require_access
from smurfq.store.durability import warn_of_losses
from smurfq.store.site_identity import join_site
from smurfq.store.stream_ids import StreamIds
from smurfq.worker import remote_control, shutdown
from smurfq.worker.lanes import Lanes
from smurfq.worker.lease_step import LeaseStep

logger = logging.getLogger("smurfq.worker")

_STANDBY_POLL_S = 0.5


@dataclass(frozen=True)
class Loaded:
    """The preloaded libraries: versions by name, and the time (s since 1970; None if they were not loaded)."""

    versions: Mapping[str, str]
    at: float | None


def serve(slot: str, lane: Lane, loaded: Loaded, told_to_stop: list[int]) -> int:
    """Run a lane's Celery worker until a signal is added to ``told_to_stop``, and return its exit code."""
    return serve_as(
        WorkerContext(app, slot, lane, new_token(), tasks.bodies()), worker_name(slot, lane), loaded, told_to_stop
    )


def new_token() -> str:
    """Return a unique token for this process's lease."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def serve_as(context: WorkerContext, node: str, loaded: Loaded, told_to_stop: list[int]) -> int:
    """Run a Celery worker, like ``serve``, for any context; ``node`` is the worker's name."""
    context.about = {
        "node": node,
        **({"stream_id": context.stream_id, "bridge": app.settings.bridge_name} if context.stream_id else {}),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.time(),
        "versions": dict(loaded.versions),
        "simulated": app.settings.simulated,
    }
    context.told_to_stop = told_to_stop
    context.loaded = loaded.at
    app.worker_context = context
    if not _take_lease(context, told_to_stop):
        return 0
    lost = patiently(lambda: Reaper(app).reap(context.publisher, by=context.token), pause=_pause_unless(told_to_stop))
    if lost is not None:
        logger.warning(
            "%s[%s] was lost with an earlier worker; its record now has a final state", lost.op_name, lost.task_id
        )
    return _celery(app, context)


def _take_lease(context: WorkerContext, told_to_stop: list[int]) -> bool:
    """Wait until this worker has the lease, and return true; return false if it is told to stop before.

    If a lease vanishes before it expires, Redis has lost its data. The lease's worker may still drive the card, and
    takes the lease again within a second or two. The lease therefore counts until it would have expired.
    """
    said = False
    expires = 0.0
    while not told_to_stop:
        left_s = patiently(lambda: app.fence.lease_left_s(context.leased), pause=_pause_unless(told_to_stop))
        now = time.monotonic()
        if left_s:
            expires = now + left_s
        elif now >= expires and patiently(context.renew_lease, pause=_pause_unless(told_to_stop)):
            return True
        if not said:
            logger.warning("standing by: another worker serves %s", context.leased)
            said = True
        time.sleep(_STANDBY_POLL_S)
    return False


def _pause_unless(told_to_stop: list[int]) -> Callable[[float], None]:
    """Return a pause that ends this process instead, once it is told to stop."""

    def pause(wait_s: float) -> None:
        if told_to_stop:
            raise SystemExit(0)
        time.sleep(wait_s)

    return pause


def _celery(application: SmurfqApp, context: WorkerContext) -> int:
    application.steps["consumer"].add(LeaseStep)
    shutdown.connect(application)
    remote_control.close()
    celery_signals.worker_process_init.connect(_prepare_pool_child, weak=False)
    queues = [context.queue]
    if context.lane == "control" and context.slot != WORKFLOWS:
        queues.insert(0, queue_name(context.slot, "emergency"))
    worker = application.Worker(
        hostname=context.about["node"],
        queues=queues,
        concurrency=1,
        pool="prefork",
        loglevel=logging.getLogger().getEffectiveLevel(),
        without_gossip=True,
        without_mingle=True,
        task_events=True,
        quiet=True,
    )
    worker.start()
    for finalize in context.cancelled.values():
        finalize()
    with best_effort(f"the lease of {context.leased} could not be released and will expire", level=logging.WARNING):
        application.fence.release_lease(context.leased, context.token)
        application.store.delete(keys.worker(context.publisher))
    return int(worker.exitcode or 0)


def _prepare_pool_child(**_kwargs: Any) -> None:
    """Prepare the pool child for forking operations."""
    signal.set_wakeup_fd(-1)  # else a signal to the pool child alone would tell its worker to stop
    smurf_control.assert_no_channel_access()
    adopt_orphans()
    gc.collect()
    gc.freeze()
    runner_of(app).prepare()


def _preload(settings: Settings) -> Loaded:
    """Import pysmurf and sodetlib if they are installed and ``worker.preload`` is set."""
    nothing = Loaded({"smurfq": __version__}, None)
    if not settings.worker.preload:
        return nothing
    if importlib.util.find_spec("sodetlib") is None:
        logger.warning("sodetlib is not installed: only scripts and `test` run here; pip install 'smurfq[slot]'")
        return nothing
    started = time.time()
    versions = smurf_control.preload()
    smurf_control.apply_paths(settings)
    logger.info("loaded %s in %.1f s", versions, time.time() - started)
    return Loaded(versions, started)


def run(slots: Sequence[str], lanes: Sequence[Lane] = WORKER_LANES) -> int:
    """Run the workers of one or more slots until they are stopped, and return the exit code."""
    settings = app.settings
    slots = [settings.check_slot(slot) for slot in dict.fromkeys(slots)]
    smurf_control.require_channel_access()
    require_access(settings.redis_url)
    join_site(settings, os.environ)
    surroundings = {**os.environ, **environment(settings, slots[0], "control", os.environ)}
    if warning := publisher_warning(surroundings):
        logger.critical("%s", warning)
    if settings.simulated:
        logger.warning("SIMULATED: %s is not hardware", ", ".join(slots))
    warn_of_losses(settings.redis_url)
    if not can_mark():
        logger.warning("%s", CANNOT_MARK)
    make_folder(settings.state_dir.absolute())
    with best_effort("the stream ids are reported once Redis is back"):
        for slot in slots:
            StreamIds(app.store).report(slot, settings.stream_ids[slot])
    loaded = _preload(settings)
    # The garbage collector writes to every object that it visits, and so copies its memory page in a forked process.
    # It skips frozen objects.
    gc.collect()
    gc.freeze()
    named = ", ".join(both_names(slot, settings.stream_ids[slot]) for slot in slots)
    logger.info("worker of %s starts: %s", named, " and ".join(lanes))

    def serve_lane(slot: str, lane: Lane, told_to_stop: list[int]) -> int:
        return serve(slot, lane, loaded, told_to_stop)

    return Lanes([(slot, lane) for slot in slots for lane in lanes], serve_lane).run()


@click.command(name="worker")
@click.option(
    "--slot",
    "slots",
    required=True,
    multiple=True,
    help="The slot to serve: crate1slot2, or its stream id. Repeat it to serve several slots with one set of "
    "loaded libraries.",
)
@click.option(
    "--lane",
    type=click.Choice(WORKER_LANES),
    multiple=True,
    help="Serve only this lane: control (every operation that drives the card) or state (check_state). [default: both]",
)
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def main(slots: tuple[str, ...], lane: tuple[Lane, ...], log_level: str) -> None:
    """Serve a slot, or several: run the operations of each, one at a time.

    A second worker for the same slot stands by, and takes over if the first dies. After SIGTERM or Ctrl-C, the worker
    waits for the running operation, aborts it after limits.shutdown_grace_s, and exits. A second signal kills the
    operation.
    """
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        code = run(slots, lane or WORKER_LANES)
    except SmurfqError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)


if __name__ == "__main__":
    main()
