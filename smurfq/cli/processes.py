"""Commands that become a process of the site: a slot's worker, the bridge."""

from __future__ import annotations

import logging
import sys

import click

from smurfq.cli.options import slot_of
from smurfq.core.slot import WORKER_LANES


@click.command(
    epilog="""\b
Examples:
  smurfq worker --slot crate1slot2
  smurfq worker --slot crate1slot2 --slot crate1slot3
  smurfq worker --slot crate1slot2 --lane state
  smurfq worker --workflows"""
)
@click.option(
    "--slot",
    "-s",
    "slots",
    metavar="SLOT",
    multiple=True,
    help="Slot id, as crate1slot2, or its number where only one crate has it; again for each of several, which then "
    "share the memory of what they load. May be left out where the site has one slot.",
)
@click.option(
    "--lane",
    type=click.Choice(WORKER_LANES),
    multiple=True,
    help="Serve this lane only (control: all that drives the card; state: check_state). Both unless given.",
)
@click.option("--workflows", is_flag=True, help="Serve workflows instead, workflows.at_once of them at once.")
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def worker(slots: tuple[str, ...], lane: tuple[str, ...], workflows: bool, log_level: str) -> None:
    """Serve a slot: run its operations, one at a time. It stays in the foreground.

    A second worker for the same slot stands by, and takes over when the first is gone. SIGTERM or Ctrl-C lets
    what runs end, or aborts it after limits.shutdown_grace_s; asked twice, it is killed.
    """
    if workflows:
        if slots or lane:
            raise click.UsageError("--workflows serves no slot: leave --slot and --lane out")
        from smurfq import workflow_boot  # noqa: PLC0415 - as below

        workflow_boot.main(["--log-level", log_level], prog_name="smurfq worker --workflows")
    chosen = [slot_of(slot).slot for slot in slots or (None,)]
    # Celery and, with smurfq[slot], what preloading needs: a second that `smurfq --help` does not have.
    from smurfq import worker_boot  # noqa: PLC0415

    named = [word for slot in chosen for word in ("--slot", slot)]
    lanes = [word for name in lane for word in ("--lane", name)]
    worker_boot.main([*named, *lanes, "--log-level", log_level], prog_name="smurfq worker")


@click.command(
    epilog="""\b
Examples:
  smurfq bridge"""
)
def bridge() -> None:
    """Take in the datagrams of all publishers. It stays in the foreground; SIGTERM or Ctrl-C ends it.

    It listens on bridge.host and bridge.port of the site file (SMURFQ_BRIDGE_HOST, SMURFQ_BRIDGE_PORT).
    """
    from smurfq import udp_bridge  # noqa: PLC0415 - not needed by any other command

    logging.captureWarnings(capture=True)
    sys.exit(udp_bridge.main())


COMMANDS = [worker, bridge]
