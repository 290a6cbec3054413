"""No key stays for ever: after a site was used in every way, each key in Redis is accounted for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import cast

import pytest
import redis
from celery import chain, chord, group

from smurfq.app import app
from smurfq.client import Slot
from smurfq.client.connection import Connection
from smurfq.core import keys
from smurfq.errors import DuplicateError
from smurfq.reaper import Reaper
from smurfq.store.connection import Client
from smurfq.store.control_requests import Request
from smurfq.store.feeds import Feeds
from smurfq.store.leashes import Leashes
from smurfq.tasks import run
from smurfq.tasks import test as trial
from tests.site.bridge import HOST
from tests.site.eventually import WITHIN_S, eventually
from tests.site.live import LiveSite
from tests.site.producer import bind

USED, UNUSED = "crate1slot2", "crate1slot3"  # the second is served by nobody
KEPT_S = 5000
LONGEST_S = 7 * 86_400
DAY_S = 86_400.0
LANE = rf"({USED}|{UNUSED})(\.state|\.emergency)?"

# Each key that may live on without an end, and what there is at most one of for each.
OF_A_SLOT = (rf"smurfq:(hold|lock|left_on):({USED}|{UNUSED})", rf"smurfq:(running|needs-make-safe):{LANE}")
OF_THE_SITE = (
    "smurfq:stream-ids",
    "smurfq:register-alarms",
    keys.SITE,
    "smurfq:last",
    keys.BRIDGES,
    keys.bridge_positions(HOST),
)
OF_KOMBU = (
    r"_kombu\.binding(_permanent)?\.(smurfq|celery\.pidbox|celeryev|reply\.celery\.pidbox)",
    r"_kombu\.binding_deadlines",
)


@pytest.fixture(scope="module")
def own_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    """A site that keeps records for little more than an hour, with a bridge and one worker."""
    days = str((KEPT_S + 0.1) / DAY_S)
    with LiveSite(
        tmp_path_factory.mktemp("own") / "site",
        SMURFQ_SLOTS=f"{USED},{UNUSED}",
        SMURFQ_REDIS_RESULT_EXPIRES_DAYS=days,
        SMURFQ_REDIS_FEED_EXPIRES_DAYS=days,
        SMURFQ_WORKER_PRELOAD="true",
    ) as live:
        live.start_cards()
        live.start_bridge()
        live.start_worker(USED)
        yield live


def use_in_every_way(site: LiveSite) -> None:
    """Have run, fail, wait, end and be held what can; all is over at the end."""
    connection = Connection(app.settings)
    slot, unserved = (Slot(name, connection=connection) for name in (USED, UNUSED))
    publish = site.script("publish.py", _PUBLISH)
    broken = site.script("broken.py", "raise SystemExit(3)")
    gate = site.gate("long")
    results = [
        trial.delay(slot=USED),
        run.delay(slot=USED, script=publish),
        run.delay(slot=USED, script=broken),
        chain(trial.si(slot=USED), trial.si(slot=USED)).apply_async(),
        group(trial.s(slot=USED), trial.s(slot=USED)).apply_async(),
        chord([trial.s(slot=USED), trial.s(slot=USED)], trial.s(slot=USED)).apply_async(),
        chord([run.si(slot=USED, script=broken), trial.si(slot=USED)], trial.s(slot=USED)).apply_async(),
    ]
    for result in results:
        result.get(timeout=WITHIN_S, propagate=False)
    long = slot.submit("run", script=gate.script, unique=True)
    with pytest.raises(DuplicateError):
        slot.submit("run", script=gate.script, unique="running")
    revoked = trial.delay(slot=USED)
    eventually(lambda: long.header().status == "running", what="the long script runs")
    revoked.revoke()
    slot.submit("test").remove()
    long.abort(reason="enough")
    assert long.wait(WITHIN_S).outcome == "aborted"
    unserved.submit("test").remove()
    slot.hold(note="looked at")  # its worker answers through kombu's mailbox
    slot.release()
    slot.lock(for_s=0.5)
    app.control_requests.ask(results[0].id, Request("stop"))  # of a task that is over
    leashes = Leashes(app.store)
    leashes.keep("a-workflow", "me")
    leashes.end("a-workflow", "done")
    Feeds(app.store, KEPT_S).append("iv_results", USED, time.time(), {"Rn_q50": 0.0078})
    eventually(
        lambda: app.fence.running_of([USED, f"{USED}.state"]) == {} and not app.store.exists("unacked"),
        what="nothing runs",
    )
    Reaper(app).sweep()
    eventually(lambda: app.store.zcard(keys.WAITING) == 0, what="the worker passes by what was revoked")


_PUBLISH = """
import json, os, socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n, (kind, payload) in enumerate([("session_data", {"a": 1}), ("session_log", "hello")]):
    said = {"host": socket.gethostname(), "id": os.environ["SMURFPUB_ID"], "script": "publish", "time": time.time(),
            "seq_no": n, "type": kind, "payload": payload}
    out.sendto(json.dumps(said).encode(), ("127.0.0.1", int(os.environ["SMURFPUB_UDP_PORT"])))
"""


def copied(source: str, target: str) -> None:
    """Copy all that a Redis has to another, which is empty."""
    with redis.Redis.from_url(source) as here, redis.Redis.from_url(target) as there:
        for key in here.keys("*"):
            text, left_ms = here.dump(key), here.pttl(key)
            if text is not None:
                there.restore(key, max(0, left_ms), text)


def test_of_all_keys_that_a_site_leaves_none_stays(own_site: LiveSite, valkey: Client, valkey_url: str) -> None:
    own_site.bind()
    use_in_every_way(own_site)
    copied(own_site.environ["SMURFQ_REDIS_URL"], valkey_url)
    old_ids = set(valkey.zrange(keys.HISTORY, 0, -1))
    assert len(old_ids) >= 15
    kinds = {re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", str(key)) for key in valkey.keys("*")}
    assert {keys.record("<id>"), keys.data("<id>"), keys.events("<id>"), keys.meta("<id>")} <= kinds
    left = {str(key): valkey.ttl(key) for key in valkey.keys("*")}
    for_ever = [key for key, ttl in left.items() if ttl == -1]
    assert [key for key in for_ever if not re.fullmatch("|".join((*OF_A_SLOT, *OF_THE_SITE, *OF_KOMBU)), key)] == []
    assert [(key, ttl) for key, ttl in left.items() if ttl > LONGEST_S] == []
    assert [
        (key, ttl)
        for key, ttl in left.items()
        if ttl > KEPT_S and not key.startswith(("smurfq:leash", "smurfq:control"))
    ] == []
    assert valkey.hkeys(keys.LAST) in ([USED, UNUSED], [UNUSED, USED])
    for key in (key for key in for_ever if key.startswith("_kombu.binding.")):
        assert len(valkey.smembers(key)) <= 2 * 3 + 1 + 2, "a queue and a worker each, whatever was asked of them"

    # The same site, when the time that all was kept for is over: it is used once more, and swept.
    bind({**own_site.environ, "SMURFQ_REDIS_URL": valkey_url})
    used_again = {keys.HISTORY, keys.IDS, keys.history(USED), keys.history_of("test"), keys.newest(USED)}
    for key in left.keys() - set(for_ever) - used_again:
        valkey.pexpire(key, 1)
    for key in (keys.HISTORY, keys.history(USED), keys.history_of("test")):
        scores = cast(list[tuple[str, float]], valkey.zrange(key, 0, -1, withscores=True))
        valkey.zadd(key, {task_id: at - KEPT_S for task_id, at in scores})
    new = app.submit("test", slot=USED).id
    Reaper(app).sweep()
    expected = {keys.record(new), keys.WAITING, f"{USED}\x06\x165"} | used_again
    eventually(lambda: len(valkey.keys("*")) <= len(for_ever) + len(expected) + 1, what="what is over expires")
    found = set(map(str, valkey.keys("*"))) - set(for_ever)
    same = {key for key in found if key.startswith(f"smurfq:duplicates:{USED}:")}
    assert found - same == expected
    assert len(same) == 1
    for key in (keys.HISTORY, keys.IDS, keys.history(USED), keys.history_of("test"), keys.WAITING):
        assert valkey.zrange(key, 0, -1) == [new]
    own_site.bind()
