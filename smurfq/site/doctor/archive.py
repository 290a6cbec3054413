"""Checks that the files of the site are registered in the archive."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator

from smurfq.core.duration import duration
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn
from smurfq.store import connect
from smurfq.store.archive_list import ArchiveList, ArchiveState, names_of_lists
from smurfq.store.bridge import Bridges

_LATE_S = 60.0


def check(examined: Examined) -> Iterator[Finding]:
    """Check the registrar's report, and the archive list in Redis."""
    if not examined.redis_answers:
        return
    own = examined.settings.bridge_name
    with connect(examined.settings.redis_url) as client:
        state = ArchiveList(client, own).state()
        others = {name: ArchiveList(client, name).state() for name in names_of_lists(client) if name != own}
        bridges = Bridges(client).health()
    if examined.settings.archive.database is not None:
        yield _registrar(state, str(examined.settings.archive.database.absolute()))
    elif state.waiting:
        yield warn(
            "archive",
            f"archive.database is not set, and {state.waiting} files wait to be registered",
            "set it, and start `smurfq archive`",
        )
    if state.set_aside:
        yield warn(
            "archive files",
            f"{state.set_aside} could not be registered; the newest: {state.reason}",
            "the registrar tries again each minute; its log names each file and the reason",
        )
    for name, other in others.items():
        if name not in bridges and other.registrar is None and (other.waiting or other.set_aside):
            yield fail(
                f"archive {name}",
                f"{other.waiting + other.set_aside} files wait in the list of a bridge that is not in use",
                f"if it was renamed, `SMURFQ_BRIDGE_NAME={shlex.quote(name)} smurfq archive` on its server registers "
                "them; stop that when none wait",
            )


def _registrar(state: ArchiveState, database: str) -> Finding:
    registrar = state.registrar
    late_s = time.time() - state.oldest if state.oldest is not None else 0.0
    wait = f"{state.waiting} files wait" + (f", the oldest for {duration(late_s)}" if state.waiting else "")
    if registrar is None:
        todo = "start it: `smurfq up`, `smurfq archive`, or systemctl start smurfq-archive"
        return fail("archive", f"no registrar runs; {wait}", todo)
    if registrar.problem:
        return fail("archive", f"{registrar.problem}; {wait}", "correct it; files are then registered by themselves")
    if registrar.database != database:
        found = f"files are registered in {registrar.database}, but these settings say {database}"
        return fail("archive", found, "start the registrar with the same settings as the bridge")
    if late_s > _LATE_S:
        return warn("archive", wait, "its log says why; large files take long to read")
    return ok("archive", f"process {registrar.pid} on {registrar.host} has registered {state.registered} files; {wait}")
