"""The operations as Celery tasks, one file for each family.

``from smurfq.tasks import run; run.delay(slot="crate1slot2", script="/config/scripts/x.py")``.

Importing this package does not import pysmurf. The operation's process imports the libraries that drive a card.
"""

from smurfq.core.card_after import MAKE_SAFE
from smurfq.operation_process.process import Body
from smurfq.operations import OPERATIONS
from smurfq.pool_child.workflow_task import task as workflow
from smurfq.tasks.bias import all_off, bias_dets, overbias_tes, set_biases, zero_biases
from smurfq.tasks.bias_steps import take_bgmap, take_bias_steps, take_bias_waves
from smurfq.tasks.iv import take_iv
from smurfq.tasks.making_safe import make_safe
from smurfq.tasks.noise import take_noise
from smurfq.tasks.rssi import restart_rssi
from smurfq.tasks.run import run
from smurfq.tasks.setup import uxm_relock, uxm_setup
from smurfq.tasks.state import check_state
from smurfq.tasks.stream import stream
from smurfq.tasks.trial import test

__all__ = [
    "all_off",
    "bias_dets",
    "bodies",
    "check_state",
    "make_safe",
    "overbias_tes",
    "restart_rssi",
    "run",
    "set_biases",
    "stream",
    "take_bgmap",
    "take_bias_steps",
    "take_bias_waves",
    "take_iv",
    "take_noise",
    "test",
    "uxm_relock",
    "uxm_setup",
    "workflow",
    "zero_biases",
]


def bodies() -> dict[str, Body]:
    """Return the functions that a slot's operation process can run, by the operation's name."""
    return {MAKE_SAFE: make_safe, **{name: globals()[name].body for name in OPERATIONS}}
