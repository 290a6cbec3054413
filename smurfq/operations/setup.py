"""The parameters of `uxm_setup` and `uxm_relock`."""

from typing import Annotated

from pydantic import Field

from smurfq.core.card import NUM_BANDS
from smurfq.operations.kinds import Bands
from smurfq.operations.model import Keyword, Parameters, PassedOn
from smurfq.operations.operation import Operation

ActiveBands = Annotated[Bands | None, Keyword("bands"), Field(description="bands to use; default: the active ones")]


class UxmSetup(Parameters):
    """Sets a UXM up from scratch: amplifiers, attenuators, phase delay, tune, tracking, noise."""

    bands: ActiveBands = None
    kwargs: PassedOn = None


class UxmRelock(Parameters):
    """Locks a UXM again on the resonators of its tune."""

    bands: ActiveBands = None
    kwargs: PassedOn = None


UXM_SETUP = Operation(
    "uxm_setup",
    "control",
    UxmSetup,
    leaves="`timestamps`, `setup_amps_summary`, `setup_phase_delay`, `noise`, each when sodetlib sets it; "
    "`summary` if the operation failed",
    time_limit_s=3600.0,
    repeatable=True,
)
UXM_RELOCK = Operation(
    "uxm_relock",
    "control",
    UxmRelock,
    leaves="the keys that sodetlib sets while it runs, then `filepath`, `all_det_num[8]`, `good_det_num[8]`; "
    "`summary` if the operation failed",
    feed="tracking_results",
    feed_fields=tuple(f"{of}_band{band}" for of in ("alldet", "gooddet", "alarm") for band in range(NUM_BANDS)),
    time_limit_s=2400.0,
    repeatable=True,
)
