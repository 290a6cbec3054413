"""The parameters of `stream`."""

from typing import Annotated

from smurfq.operations.kinds import Count, Factor, Flag, Positive, Seconds, StreamType, Tag, Wait, Word
from smurfq.operations.model import Keyword, Parameters, PassedOn
from smurfq.operations.operation import Operation


class _Keywords(Parameters):
    filter_wait_time: Wait
    """settling time of the filter before data are written"""
    filter_cutoff: Positive | None = None
    """cutoff frequency of the filter, Hz; default: that of the device configuration"""
    filter_order: Count | None = None
    """order of the filter; default: that of the device configuration"""
    downsample_factor: Factor | None = None
    """downsampling factor; default: that of the device configuration"""


class Stream(Parameters):
    """Streams to g3 files, for a given time or until it is stopped."""

    keywords = _Keywords

    duration: Seconds | None = None
    """duration of the stream; default: until it is stopped"""
    kwargs: PassedOn = None
    load_tune: Flag = True
    """load the slot's tune first"""
    stream_type: Annotated[StreamType, Keyword("stream_type")] = "obs"
    """type of the stream: observation or operation"""
    subtype: Annotated[Word | None, Keyword("subtype")] = None
    """subtype of the stream; default: sodetlib's"""
    tag: Tag | None = None
    """tag of the stream; overrides kwargs"""


STREAM = Operation(
    "stream",
    "control",
    Stream,
    leaves="`stream_on`, `last_updated` (each second), `stream_id`, `sid`",
    time_limit_s=None,
    process=True,
)
