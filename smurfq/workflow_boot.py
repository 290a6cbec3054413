"""Starts the workflows' workers: ``python -m smurfq.workflow_boot``. They need no pysmurf and drive no card.

One parent forks ``workflows.at_once`` workers, which share one queue. Each has a *seat*, with its own lease and lock,
so that a worker on a second host can stand by for it.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from functools import partial

import click

import smurfq.tasks  # noqa: F401 - registers the tasks before the seats are forked
from smurfq import __version__
from smurfq.app import app
from smurfq.core.private_files import make_folder
from smurfq.core.slot import WORKFLOWS, Lane, workflow_node, workflow_seats
from smurfq.errors import SmurfqError
from smurfq.operations import WORKFLOW
from smurfq.pool_child.context import WorkerContext
from smurfq.store.connection import require_access
from smurfq.store.site_identity import join_site
from smurfq.worker.lanes import Lanes
from smurfq.worker_boot import Loaded, new_token, serve_as
from smurfq.workflows.body import run_workflow

logger = logging.getLogger("smurfq.worker")


def serve_seat(loaded: Loaded, seat: str, lane: Lane, told_to_stop: list[int]) -> int:
    """Run a seat's Celery worker until a signal is added to ``told_to_stop``, and return its exit code."""
    context = WorkerContext(app, WORKFLOWS, lane, new_token(), {WORKFLOW.name: run_workflow}, seat)
    return serve_as(context, workflow_node(seat), loaded, told_to_stop)


def run() -> int:
    """Run the workflows' workers until they are stopped, and return the exit code."""
    settings = app.settings
    # Workflows are few and long, so a spare process for each seat would not pay.
    app.settings = settings.model_copy(update={"worker": settings.worker.model_copy(update={"spare": False})})
    require_access(settings.redis_url)
    join_site(settings, os.environ)
    make_folder(settings.state_dir.absolute())
    seats = workflow_seats(settings.workflows.at_once)
    gc.collect()
    gc.freeze()
    logger.info("worker of workflows starts: %s", ", ".join(seats))
    lanes: list[tuple[str, Lane]] = [(seat, "control") for seat in seats]
    return Lanes(lanes, partial(serve_seat, Loaded({"smurfq": __version__}, None))).run()


@click.command(name="workflows")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def main(log_level: str) -> None:
    """Serve workflows, workflows.at_once at a time. SIGTERM or Ctrl-C ends them and the operations they started."""
    logging.basicConfig(
        level=log_level.upper(), stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        code = run()
    except SmurfqError as error:
        raise click.ClickException(str(error)) from error
    sys.exit(code)


if __name__ == "__main__":
    main()
