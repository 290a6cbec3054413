"""The parameters of `run`."""

from pydantic import Field

from smurfq.operations.kinds import AbsolutePath, Arguments, Log
from smurfq.operations.model import Parameters
from smurfq.operations.operation import Operation


class Run(Parameters):
    """Runs a control script."""

    script: AbsolutePath
    """path of the script, below one of the site's script folders"""
    args: Arguments = Field([])
    """command line arguments of the script"""
    log: Log = True
    """destination of the output: the worker's log, a file, or none"""


RUN = Operation("run", "control", Run, leaves="the `session_data` that the script publishes", time_limit_s=None)
