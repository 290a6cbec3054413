"""The parameters of `run`."""

from pydantic import Field

from smurfq.operations.kinds import AbsolutePath, Arguments, Log
from smurfq.operations.model import Parameters
from smurfq.operations.operation import Operation


class Run(Parameters):
    """Runs a control script."""

    script: AbsolutePath
    """the script, below one of the site's script folders"""
    args: Arguments = Field([])
    """its command line arguments"""
    log: Log = True
    """where its output goes: the worker's log, a file, or nowhere"""


RUN = Operation("run", "control", Run, leaves="what the script publishes as `session_data`", time_limit_s=None)
