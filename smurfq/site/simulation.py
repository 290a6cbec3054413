"""Adds simulated slots to a site: their process, and the environment with which other processes find them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence

from smurfq.config import Settings
from smurfq.errors import StartError
from smurfq.site import journal
from smurfq.site.child import Service
from smurfq.site.ports import require_free

NAME = "sim"  # in the journal
_PACKAGES = ("caproto", "numpy", "scipy", "so3g", "yaml")
_STOPS_WITHIN_S = 20.0


def simulated(environ: Mapping[str, str], settings: Settings, slots: Sequence[str]) -> dict[str, str]:
    """Return ``environ`` for a site with simulated slots. The settings for a real card and archive are overridden.

    Raises
    ------
    StartError
        A package that the simulator needs is not installed.
    ConfigError
        Two of the slots have the same number.
    """
    require_packages()
    from smurfq.sim.surroundings import folder_of, options_of, site_variables  # noqa: PLC0415 - an optional dependency

    archive = {"SMURFQ_ARCHIVE_DATABASE": str(folder_of(settings) / "suprsync.db")} if settings.archive.database else {}
    return {**environ, **site_variables(options_of(settings, slots)), **archive}


def beside_running(environ: Mapping[str, str], settings: Settings) -> Mapping[str, str]:
    """Return ``environ`` with the variables of this machine's site if its slots are simulated, else unchanged.

    A command in another terminal then uses the same slots as the site's processes.
    """
    present = journal.read(settings.state_dir)
    if present is None or not any(entry.name == NAME and entry.alive for entry in present.processes):
        return environ
    return simulated(environ, settings, settings.slots[:1])  # any slot is right: the variables are the same for all


def require_packages() -> None:
    """Check that the packages of the simulator are installed."""
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise StartError(
                f"simulated slots need the package {package}: pip install 'smurfq[sim]', or omit --sim",
                package=package,
            )


def require_port(settings: Settings) -> None:
    """Check that the simulator's port is free."""
    for kind in ("tcp", "udp"):
        require_free(kind, "127.0.0.1", settings.sim.port, "the simulated slots", "SMURFQ_SIM_PORT")


def simulator_service(settings: Settings, slots: Sequence[str]) -> Service:
    """Return the service of the simulated slots."""
    from smurfq.sim import presence  # noqa: PLC0415 - an optional dependency
    from smurfq.sim.surroundings import folder_of  # noqa: PLC0415

    folder = folder_of(settings)

    def ready(pid: int) -> bool:
        present = presence.read(folder)
        return present is not None and present["pid"] == pid

    return Service(
        name=NAME,
        command=[sys.executable, "-m", "smurfq.sim", *(word for slot in slots for word in ("--slot", slot))],
        where=f"Channel Access 127.0.0.1:{settings.sim.port}: {', '.join(slots)}, SIMULATED",
        waits_for=f"its status file in {folder}",
        ready=ready,
        stop_s=_STOPS_WITHIN_S,
        essential=True,
    )
