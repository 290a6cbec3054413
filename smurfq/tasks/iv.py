"""`take_iv`."""

from __future__ import annotations

from typing import Any

from smurfq.core.results import iv_results
from smurfq.runner.session import Session
from smurfq.smurf_control import open_slot, sodetlib_function
from smurfq.tasks.analysis import is_analysed
from smurfq.tasks.earlier import check_earlier
from smurfq.tasks.keywords import keywords
from smurfq.tasks.task import operation


@operation
def take_iv(session: Session, *, kwargs: dict[str, Any] | None = None, tag: str | None = None) -> None:
    """Take an IV curve of every detector, and leave R_n and p_sat.

    Raises
    ------
    OperationFailedError
        There is no bias group map yet: sodetlib would find that out when the curve is taken.
    """
    with open_slot(session) as (control, config):
        check_earlier(session.op_name, session.slot, config, "take_bgmap")
        analysis = sodetlib_function("operations.iv.take_iv")(control, config, **keywords(kwargs, g3_tag=tag))
    if not is_analysed(session, analysis, "R_n"):
        return
    results = iv_results(analysis.filepath, analysis.R_n, analysis.p_sat)
    session.data.update(results.data)
    session.feed("iv_results", results.feed)
