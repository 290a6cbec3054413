"""The parameters of `stream`."""

from typing import Annotated

from smurfq.operations.kinds import Count, Factor, Flag, Positive, Seconds, StreamType, Tag, Wait, Word
from smurfq.operations.model import Keyword, Parameters, PassedOn
from smurfq.operations.operation import Operation


class _Keywords(Parameters):
    filter_wait_time: Wait
    """how long the filter settles before anything is written"""
    filter_cutoff: Positive | None = None
    """of the filter, Hz; else the device configuration's"""
    filter_order: Count | None = None
    """of the filter; else the device configuration's"""
    downsample_factor: Factor | None = None
    """else the device configuration's"""


class Stream(Parameters):
    """Streams to g3 files, for a while or until it is stopped."""

    keywords = _Keywords

    duration: Seconds | None = None
    """how long to stream; else until it is stopped"""
    kwargs: PassedOn = None
    load_tune: Flag = True
    """load the slot's tune first"""
    stream_type: Annotated[StreamType, Keyword("stream_type")] = "obs"
    """what the data are for"""
    subtype: Annotated[Word | None, Keyword("subtype")] = None
    """a more exact word for it; else sodetlib's"""
    tag: Tag | None = None
    """one more word for it; wins over kwargs"""


STREAM = Operation(
    "stream",
    "control",
    Stream,
    leaves="`stream_on`, `last_updated` (each second), `stream_id`, `sid`",
    time_limit_s=None,
    process=True,
)
