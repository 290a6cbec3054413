"""Diagnoses a site from this machine. Each check reports a finding and says what to do.

``finding`` defines the result of a check. Each other module has the checks of one subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from smurfq import config
from smurfq.errors import ConfigError
from smurfq.site import simulation
from smurfq.site.doctor import (
    archive,
    bridge,
    epics,
    files,
    machine,
    orphans,
    publisher,
    slot_files,
    store,
    stream_ids,
    variables,
    workers,
)
from smurfq.site.doctor.finding import Examined, Finding, fail

Check = Callable[[Examined], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    variables.check,
    store.check,
    bridge.check,
    archive.check,
    publisher.check,
    workers.check,
    files.check,
    stream_ids.check,
    slot_files.check,
    epics.check,
    machine.check,
    orphans.check,
)


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield all findings, one by one. If the settings are wrong, there is only one."""
    try:
        environ = simulation.beside_running(environ, config.load(environ))
        settings = config.load(environ)
    except ConfigError as error:
        yield fail("settings", str(error), "correct it; without it, nothing else can be checked")
        return
    examined = Examined(settings, environ)
    for check in CHECKS:
        yield from check(examined)
