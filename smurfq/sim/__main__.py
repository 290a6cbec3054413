"""Serves the simulated slots of the site in the environment: ``python -m smurfq.sim --slot crate1slot2``."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Set before the import of numpy: a slot's matrices are small, and BLAS's spinning threads take five times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from smurfq import config
from smurfq.core.private_files import make_folder
from smurfq.errors import SmurfqError
from smurfq.sim.server import BANNER, prepare, serve
from smurfq.sim.surroundings import client_variables, options_of

_PRECEDENCE = -10  # nine times the share of a process with the usual priority
_SWITCH_S = 0.001  # short, so that registers do not wait long for the streams, which share the interpreter


def run(slots: Sequence[str], folder: Path | None) -> None:
    """Serve slots (all of the site's if none is named) until SIGINT or SIGTERM."""
    settings = config.load(os.environ)
    chosen = [settings.check_slot(slot) for slot in slots] or list(settings.slots)
    options = options_of(settings, chosen, folder)
    sys.setswitchinterval(_SWITCH_S)
    _take_precedence()
    if folder is None:
        make_folder(settings.state_dir.absolute())
    prepared = prepare(options)
    print(f"{BANNER}: {', '.join(chosen)}, on Channel Access {options.port} of loopback", flush=True)
    for name, value in client_variables(options).items():
        print(f"  export {name}={value}", flush=True)
    serve(options, prepared)
    print("the simulated slots have stopped", flush=True)


def _take_precedence() -> None:
    """Raise the priority of this process and its recorders, where the system permits: a real card is never starved."""
    with contextlib.suppress(PermissionError):
        os.nice(_PRECEDENCE)


@click.command(name="sim")
@click.option("--slot", "slots", multiple=True, help="A slot to serve, such as crate1slot2. Repeatable.")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="The folder for its files.")
def main(slots: tuple[str, ...], folder: Path | None) -> None:
    """Serve simulated slots."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        run(slots, folder)
    except SmurfqError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
