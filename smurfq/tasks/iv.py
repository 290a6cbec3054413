"""`take_iv`."""

from __future__ import annotations

from typing import Any, Final

from smurfq.core.results import iv_results
from smurfq.errors import ParameterError
from smurfq.operation_process.analysis import is_analysed
from smurfq.operation_process.earlier_runs import check_earlier
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import open_slot, sodetlib_function
from smurfq.smurf_control.logged_stages import IV as IV_STAGES
from smurfq.smurf_control.logged_stages import show_stages

_LEAST_POINTS: Final = 11


@operation
def take_iv(session: Session, *, kwargs: dict[str, Any] | None, tag: str | None) -> None:
    """Take an IV curve of every detector, and set R_n and p_sat as session data.

    Raises
    ------
    ParameterError
        The IV would have too few bias points for its analysis. sodetlib would raise only after it had taken the IV.
    OperationFailedError
        The slot has no bias group map yet. Here too, sodetlib would raise only after the IV.
    """
    wanted = keywords(session.op_name, kwargs, g3_tag=tag)
    if (biases := wanted.get("biases")) is not None:
        wanted["biases"] = [float(bias) for bias in biases]  # sodetlib divides them in place
    with open_slot(session, streams=True) as (control, config):
        check_earlier(session.op_name, session.slot, config, "take_bgmap")
        _check_points({**config.dev.exp["iv_defaults"], **wanted})
        show_stages(control, session, IV_STAGES)
        analysis = sodetlib_function("operations.iv.take_iv")(control, config, **wanted)
    if not is_analysed(session, analysis, "R_n"):
        return
    results = iv_results(analysis.filepath, analysis.R_n, analysis.p_sat)
    session.data.update(results.data)
    session.feed("iv_results", results.feed)


def _check_points(wanted: dict[str, Any]) -> None:
    """Check that an IV has enough bias points for the running mean in sodetlib's ``compute_si``."""
    iv = sodetlib_function("operations.iv.IVConfig")(**wanted)
    least = _LEAST_POINTS if iv.run_analysis else 1
    if len(iv.biases) < least:
        of = (
            "in biases"
            if wanted.get("biases") is not None
            else f"from bias_high {iv.bias_high:g} V down to bias_low {iv.bias_low:g} V by bias_step {iv.bias_step:g} V"
        )
        raise ParameterError(
            f"take_iv: its analysis needs at least {least} bias points; got {len(iv.biases)}, {of}. Give a smaller "
            "bias_step in kwargs, or run_analysis: false",
            operation="take_iv",
            parameter="kwargs",
            got=len(iv.biases),
            allowed=f"at least {least} bias points",
        )
