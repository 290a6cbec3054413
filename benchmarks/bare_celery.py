"""The baseline of an operation: a Celery task that does nothing. ``python -m benchmarks.bare_celery URL`` serves it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery

from tests.site.process_group import environ_without_site

_READY_WITHIN_S = 60.0


def nothing_task(url: str) -> Any:
    """The task that does nothing, of an application of its own."""
    app = Celery("bare", broker=url, backend=url, set_as_current=False)
    app.conf.broker_connection_retry_on_startup = True

    @app.task(name="bare.nothing")  # type: ignore[untyped-decorator]
    def nothing() -> None:
        """Do nothing."""

    return nothing


@contextmanager
def bare_celery(url: str) -> Iterator[Any]:
    """The task, served by a prefork worker of one process."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_celery", url],
        env=environ_without_site(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        nothing = nothing_task(url)
        nothing.delay().get(timeout=_READY_WITHIN_S)
        yield nothing
        nothing.app.close()
    finally:
        worker.terminate()
        try:
            worker.wait(20)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


if __name__ == "__main__":
    nothing_task(sys.argv[1]).app.worker_main(
        ["worker", "-n", "bare@bench", "-c", "1", "-P", "prefork", "--without-gossip", "--without-mingle"]
    )
