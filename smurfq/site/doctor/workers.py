"""Checks the workers of each slot and of workflows."""

from __future__ import annotations

from collections.abc import Iterator

from smurfq.client import Slot, SlotStatus
from smurfq.client.connection import Connection
from smurfq.client.waiting import is_served
from smurfq.core.slot import WORKFLOWS
from smurfq.errors import ConfigError
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn
from smurfq.store.connection import connect
from smurfq.store.site_identity import require_same_site


def check(examined: Examined) -> Iterator[Finding]:
    """Check the reports of each slot's workers in Redis."""
    if not examined.redis_answers:
        return
    yield from _site(examined)
    connection = Connection(examined.settings)
    for slot in examined.settings.slots:
        yield from _slot(Slot(slot, connection=connection).status())
    yield _workflows(connection)


def _site(examined: Examined) -> Iterator[Finding]:
    """Report which site answers, if that is known."""
    with connect(examined.settings.redis_url, retries=0) as client:
        try:
            found = require_same_site(client, examined.settings, examined.environ)
        except ConfigError as error:
            yield fail("site", str(error), "set the variable in the message, and run doctor again")
            return
    if found is not None:
        yield ok("site", str(found))


def _workflows(connection: Connection) -> Finding:
    if is_served(connection, WORKFLOWS, "control"):
        return ok(WORKFLOWS, f"served, {connection.settings.workflows.at_once} at once")
    return warn(
        WORKFLOWS,
        "no worker serves workflows: submitted workflows wait",
        "start it: `smurfq up`, `smurfq worker --workflows`, systemctl start smurfq-workflows",
    )


def _slot(status: SlotStatus) -> Iterator[Finding]:
    name = f"worker {status.slot}"
    start = f"start it: `smurfq up`, `smurfq worker --slot {status.slot}`, systemctl start smurfq-worker@{status.slot}"
    dead = [worker.lane for worker in status.workers if not worker.alive]
    if "control" in dead:
        waiting = f"; waiting runs: {len(status.waiting)}" if status.waiting else ""
        yield fail(name, f"no worker serves {status.slot}{waiting}", start)
    elif dead:
        yield warn(name, "its state lane is not served: check_state does not run", start)
    elif "host" not in (about := status.workers[0].about) or "pid" not in about:
        yield warn(
            name,
            "it has the slot's lease, but has not reported within 5 s: it hangs, or Redis did",
            f"run doctor again; if this persists, restart it: systemctl restart smurfq-worker@{status.slot}",
        )
    else:
        yield ok(name, f"alive on {about['host']}, process {about['pid']}")
    if status.hold is not None:
        yield warn(
            f"hold {status.slot}", str(status.hold), f"`smurfq release --slot {status.slot}` when the slot may continue"
        )
