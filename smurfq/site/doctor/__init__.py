"""Diagnoses a site from this machine: each check reports what it found and what to do.

``finding`` is one answer; each other module has the checks of one subject, as functions of what is
``examined``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from smurfq import config
from smurfq.errors import ConfigError
from smurfq.site import simulation
from smurfq.site.doctor import bridge, epics, files, machine, orphans, publisher, store, variables, workers
from smurfq.site.doctor.finding import Examined, Finding, fail

Check = Callable[[Examined], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    variables.check,
    store.check,
    bridge.check,
    publisher.check,
    workers.check,
    files.check,
    epics.check,
    machine.check,
    orphans.check,
)


def examine(environ: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, as they are made; the first only, where the settings themselves are wrong."""
    try:
        environ = simulation.beside_running(environ, config.load(environ))
        settings = config.load(environ)
    except ConfigError as error:
        yield fail("settings", str(error), "mend it; nothing else can be checked before")
        return
    examined = Examined(settings, environ)
    for check in CHECKS:
        yield from check(examined)
