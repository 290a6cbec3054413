"""The command line: `smurfq`.

``group`` finds the commands, ``exit_codes`` lists the exit codes, and ``options`` holds the options that commands
share. ``view`` is the live display of a run; ``render`` shows records and slots. Each other module is a family of
commands.
"""

from __future__ import annotations

import click

from smurfq import __version__
from smurfq.cli.group import SmurfqGroup

__all__ = ["main"]

_EPILOG = """\b
Examples:
  smurfq submit take_iv --slot crate1slot2 --param tag=cal --follow
  smurfq run scripts/stream_data.py --slot crate1slot2 -- --bands 0 1
  smurfq status
  smurfq abort --slot crate1slot2 --reason "wrong bias"

\b
--slot may be omitted if the site has only one slot, or if the environment variable SLOT, which pysmurf also reads,
is the number of exactly one. The first characters of an id are enough.

\b
Exit codes: 0 succeeded, 1 other error, 2 usage, 3 operation failed, 4 aborted, 5 lost, 6 timed out waiting,
7 Redis or bridge unavailable, 8 rejected (held, locked, busy, duplicate), 9 no such record, 130 Ctrl-C."""


@click.group(
    cls=SmurfqGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="smurfq")
@click.option("--debug", is_flag=True, help="Show tracebacks instead of short errors.")
def main(debug: bool) -> None:
    """A task queue in front of every SMuRF readout slot.

    The settings come from the site file that SMURFQ_CONFIG names and from SMURFQ_* variables.
    """
