"""Creates the demo's site in a folder: one simulated slot, on free ports, without files outside the folder."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Mapping
from pathlib import Path

from smurfq import config
from smurfq.config import PREFIX, Settings
from smurfq.core.private_files import make_folder
from smurfq.errors import StartError
from smurfq.site import journal, simulation
from smurfq.site.demo.script import script_path
from smurfq.site.ports import free_port, free_port_of_both
from smurfq.smurf_control.known_versions import PYSMURF, installed_pysmurf

SLOT = "crate1slot2"
_FOREIGN = (PREFIX, "SMURFPUB_", "EPICS_CA_", "SMURF_CONFIG_DIR", "OCS_CONFIG_DIR")


def require_packages() -> None:
    """Check that all packages that the demo's operations need are installed.

    Raises
    ------
    StartError
        A package is missing.
    """
    for package in (installed_pysmurf() or PYSMURF[0], "sodetlib"):
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError as cause:
            raise StartError(
                f"the demo runs the real pysmurf and sodetlib, but {package} is not installed: "
                "pip install 'smurfq[slot,sim]' (the package named pysmurf on PyPI is a different one)",
                package=package,
            ) from cause
    simulation.require_packages()


def environment(folder: Path, environ: Mapping[str, str], *, cold: bool = False) -> dict[str, str]:
    """Return ``environ`` for the demo's site in this folder, on ports that were free at its start.

    A site that is up in the folder keeps its ports. With ``cold``, the card was never set up.
    """
    folder = folder.absolute()
    site_file = folder / "site.toml"
    present = journal.read(folder)
    if not (site_file.exists() and present is not None and present.alive):
        make_folder(folder)
        site_file.write_text(_site(folder, cold))
    others = {name: value for name, value in environ.items() if not name.startswith(_FOREIGN)}
    return {**others, "SMURFQ_CONFIG": str(site_file)}


def settings_of(environ: Mapping[str, str]) -> Settings:
    """Return the settings of the demo's site."""
    return config.load(environ)


def is_up(settings: Settings) -> bool:
    """Return whether the demo's site is up already."""
    present = journal.read(settings.state_dir)
    return present is not None and present.alive


def _site(folder: Path, cold: bool) -> str:
    sim_port = free_port_of_both()
    sim = folder / "sim"
    lines = [
        "# The demo's site, written by `smurfq demo`. Its slot is SIMULATED: no hardware is behind it.",
        f"state_dir = {json.dumps(str(folder))}",
        "simulated = true",
        "[[crates]]",
        "id = 1",
        "slots = [2]",
        "[redis]",
        f"embedded_port = {free_port('tcp')}",
        "[bridge]",
        f"port = {free_port('udp')}",
        "[flower]",
        f"port = {free_port('tcp')}",
        "[scripts]",
        f"folders = [{json.dumps(str(script_path().parent))}]",
        "[sim]",
        f"port = {sim_port}",
        f"cold = {json.dumps(cold)}",
        # The same values as `smurfq up --sim` gives its own processes, for people who use this file.
        "[epics]",
        f'ca_addr_list = "127.0.0.1:{sim_port}"',
        'ca_auto_addr_list = "NO"',
        "[smurf]",
        f"config_dir = {json.dumps(str(sim / 'config'))}",
        f"smurf_data_dir = {json.dumps(str(sim / 'smurf_data'))}",
        f"timestreams_dir = {json.dumps(str(sim / 'timestreams'))}",
    ]
    return "\n".join(lines) + "\n"
