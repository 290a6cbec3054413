"""Reads a slot's state while another operation may be running, and writes nothing to the card."""

from __future__ import annotations

import time
from typing import Any, Final

from smurfq.errors import OperationFailedError

_ONE_TRY: Final = {"retry_on_fail": False}


def read_state(control: Any, config: Any) -> dict[str, Any]:
    """Return the session data of ``check_state``: the stream's state, parameters and start.

    Raises
    ------
    OperationFailedError
        The card did not answer.
    """
    import epics
    import sodetlib

    registers = sodetlib.Registers(control)
    try:
        active = sum(int((control.get_amplitude_scale_array(band, **_ONE_TRY) != 0).sum()) for band in control.bands)
        return {
            "channel_mask": control.get_channel_mask(**_ONE_TRY).tolist(),
            "downsample_factor": control.get_downsample_factor(**_ONE_TRY),
            "agg_time": registers.agg_time.get(**_ONE_TRY),
            "open_g3stream": registers.open_g3stream.get(**_ONE_TRY),
            "pysmurf_action": registers.pysmurf_action.get(as_string=True, **_ONE_TRY),
            "pysmurf_action_timestamp": registers.pysmurf_action_timestamp.get(**_ONE_TRY),
            "stream_tag": registers.stream_tag.get(as_string=True, **_ONE_TRY),
            "last_update": time.time(),
            "stream_id": config.stream_id,
            "num_active_channels": active,
        }
    except OperationFailedError:
        raise
    except (RuntimeError, epics.ca.ChannelAccessException, epics.ca.ChannelAccessGetFailure) as cause:
        raise OperationFailedError(
            f"{config.stream_id} did not answer within pysmurf's 5 s for a register: {cause}",
            slot=config.stream_id,
        ) from cause
