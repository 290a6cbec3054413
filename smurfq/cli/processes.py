"""Commands that run a process of the site: a slot's worker, the bridge, or the registrar of the archive."""

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
    help="The slot: its place (crate1slot2), its stream id (ufm_mv9), or its number if only one crate has it. Repeat "
    "it to serve several slots with one set of loaded libraries. It may be omitted if the site has only one slot.",
)
@click.option(
    "--lane",
    type=click.Choice(WORKER_LANES),
    multiple=True,
    help="Serve only this lane: control (every operation that drives the card) or state (check_state). [default: both]",
)
@click.option(
    "--workflows", is_flag=True, help="Serve workflows instead of a slot, as many at once as workflows.at_once allows."
)
@click.option("--log-level", default="INFO", show_default=True, help="DEBUG, INFO, WARNING or ERROR.")
def worker(slots: tuple[str, ...], lane: tuple[str, ...], workflows: bool, log_level: str) -> None:
    """Serve a slot in the foreground: run its operations, one at a time.

    A second worker for the same slot stands by, and takes over if the first dies. After SIGTERM or Ctrl-C, the worker
    waits for the running operation, aborts it after limits.shutdown_grace_s, and exits. A second signal kills the
    operation.
    """
    if workflows:
        if slots or lane:
            raise click.UsageError("--workflows serves no slot: omit --slot and --lane")
        from smurfq import workflow_boot  # noqa: PLC0415 - as below

        workflow_boot.main(["--log-level", log_level], prog_name="smurfq worker --workflows")
    chosen = [slot_of(slot).slot for slot in slots or (None,)]
    # This imports Celery and, with smurfq[slot], the libraries to preload: too slow (1 s) for `smurfq --help`.
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
    """Receive the datagrams of all publishers, in the foreground, until SIGTERM or Ctrl-C.

    The bridge listens on bridge.host and bridge.port of the site file (SMURFQ_BRIDGE_HOST, SMURFQ_BRIDGE_PORT).
    """
    from smurfq import udp_bridge  # noqa: PLC0415 - not needed by any other command

    logging.captureWarnings(capture=True)
    sys.exit(udp_bridge.main())


@click.command(
    epilog="""\b
Examples:
  smurfq archive"""
)
@click.option(
    "--new-database",
    is_flag=True,
    help="If the database is missing, make a new one, although files of this site were registered in it.",
)
def archive(new_database: bool) -> None:
    """Register the site's files in the SupRsync database, in the foreground, until SIGTERM or Ctrl-C.

    The database is the setting archive.database (SMURFQ_ARCHIVE_DATABASE). The files must be on this machine, under the
    paths that their publishers sent. A second registrar stands by, and takes over if the first dies. While none runs,
    the messages of files wait in Redis; `smurfq status` shows how many.
    """
    from smurfq.archive import process  # noqa: PLC0415 - not needed by any other command

    sys.exit(process.main(new_database=new_database))


COMMANDS = [worker, bridge, archive]
