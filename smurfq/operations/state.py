"""The parameters of `check_state`, `restart_rssi` and `test`."""

from smurfq.operations.kinds import Flag, Seconds
from smurfq.operations.model import Parameters
from smurfq.operations.operation import Operation


class CheckState(Parameters):
    """Reads the slot's state, once or repeatedly, and writes nothing to the card."""

    poll_interval: Seconds = 10.0
    """time between two readings"""
    once: Flag = False
    """read the state once and end"""


class RestartRssi(Parameters):
    """Restarts the link to the card after a lock-up."""


class Test(Parameters):
    """Does nothing; tests an installation."""


CHECK_STATE = Operation(
    "check_state",
    "state",
    CheckState,
    leaves="`channel_mask`, `downsample_factor`, `agg_time`, `open_g3stream`, `pysmurf_action`, "
    "`pysmurf_action_timestamp`, `stream_tag`, `last_update`, `stream_id`, `num_active_channels`",
    feed="state_results",
    feed_fields=("open_g3stream", "num_active_channels"),
    time_limit_s=None,
    repeatable=True,
    process=True,
)
RESTART_RSSI = Operation(
    "restart_rssi", "emergency", RestartRssi, leaves="`rssi_responsive`, `last_updated`", time_limit_s=60.0
)
TEST = Operation("test", "control", Test, leaves="`test`: 10", time_limit_s=60.0, repeatable=True)
