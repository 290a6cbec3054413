"""Checks Channel Access: the settings that an operation would use, and whether each slot's server answers."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence

from smurfq.operation_process.environment import environment
from smurfq.site.doctor.finding import Examined, Finding, fail, ok, warn
from smurfq.smurf_control.known_versions import (
    INSTALL,
    PYSMURF,
    installed_pysmurf,
    numpy_problem,
    without_channel_access,
)
from smurfq.smurf_control.registers import SLOT_NUMBER, epics_root

_ANSWERS_WITHIN_S = 3.0
_IMPORTS_WITHIN_S = 20.0
_OTHERS = ("sodetlib", "pyepics")
# In a separate process: a process that has used Channel Access must not fork, and libca may hang.
_PROBE = """
import json, sys, time
import epics
pvs = [epics.PV(name) for name in sys.argv[2:]]
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end and not all(pv.connected for pv in pvs):
    epics.ca.poll(1e-3, 0.05)
print(json.dumps([bool(pv.connected) for pv in pvs]), flush=True)
"""


def check(examined: Examined) -> Iterator[Finding]:
    """Check that each slot's server answers for a register that exists even if the card is not set up."""
    settings = examined.settings
    found = {**examined.environ, **environment(settings, settings.slots[0], "control", examined.environ)}
    yield ok("channel access", f"EPICS_CA_ADDR_LIST={found['EPICS_CA_ADDR_LIST']}")
    packages = (installed_pysmurf() or PYSMURF[0], *_OTHERS)
    missing = [package for package in packages if not _installed(package)]
    if missing:
        yield warn(
            "pysmurf and sodetlib",
            f"not installed here: {', '.join(missing)}; only the machines of workers need them",
            "pip install 'smurfq[slot]' where workers run",
        )
        return
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in packages)
    if problem := without_channel_access():
        yield fail("pysmurf and sodetlib", problem, INSTALL)
        return
    yield ok("pysmurf and sodetlib", versions)
    if problem := numpy_problem():
        yield warn("numpy", problem, INSTALL)
    yield from _servers(examined, found)


def _servers(examined: Examined, environ: Mapping[str, str]) -> Iterator[Finding]:
    slots = examined.settings.slots
    names = [f"{epics_root(slot)}:{SLOT_NUMBER}" for slot in slots]
    try:
        answers = _probe(names, environ)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        yield fail("channel access", f"pyepics cannot be used: {error}", "pip install --force-reinstall pyepics")
        return
    for slot, name, answered in zip(slots, names, answers, strict=True):
        if answered:
            yield ok(f"server of {slot}", f"{name} answers")
        else:
            yield warn(
                f"server of {slot}",
                f"{name} does not answer within {_ANSWERS_WITHIN_S:g} s: operations that need the card will fail",
                "start the slot's smurf server; if it is running, compare EPICS_CA_ADDR_LIST with its network",
            )


def _probe(names: Sequence[str], environ: Mapping[str, str]) -> list[bool]:
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, str(_ANSWERS_WITHIN_S), *names],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=_ANSWERS_WITHIN_S + _IMPORTS_WITHIN_S,
        check=True,
    )
    answers: list[bool] = json.loads(done.stdout.splitlines()[-1])
    return answers


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
