"""`take_bgmap`, `take_bias_steps` and `take_bias_waves`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smurfq.core.results import bgmap_results, bias_results
from smurfq.operation_process.analysis import is_analysed
from smurfq.operation_process.earlier_runs import check_earlier
from smurfq.operation_process.keywords import keywords
from smurfq.operation_process.session import Session
from smurfq.pool_child.operation_task import operation
from smurfq.smurf_control import open_slot, sodetlib_function


@operation
def take_bgmap(session: Session, *, kwargs: dict[str, Any] | None, tag: str | None) -> None:
    """Measure the bias group of every channel."""
    wanted = {"show_plots": False, **keywords(session.op_name, kwargs, g3_tag=tag)}
    with open_slot(session, streams=True, low_current=True) as (control, config):
        analysis = sodetlib_function("operations.bias_steps.take_bgmap")(control, config, **wanted)
    if is_analysed(session, analysis, "R0"):
        session.data.update(bgmap_results(analysis.filepath, analysis.bgmap).data)


@operation
def take_bias_steps(
    session: Session,
    *,
    kwargs: dict[str, Any] | None,
    rfrac_range: Sequence[float],
    tag: str | None,
) -> None:
    """Measure resistance and responsivity of every detector with small steps of its bias.

    Raises
    ------
    OperationFailedError
        The slot has no bias group map yet.
    """
    _measure(
        session,
        "operations.bias_steps.take_bias_steps",
        "bias_step_results",
        keywords(session.op_name, kwargs, g3_tag=tag),
        rfrac_range,
    )


@operation
def take_bias_waves(
    session: Session,
    *,
    kwargs: dict[str, Any] | None,
    rfrac_range: Sequence[float],
    tag: str | None,
) -> None:
    """Measure resistance and responsivity of every detector with a small sine wave on its bias.

    Raises
    ------
    OperationFailedError
        The slot has no bias group map yet.
    """
    _measure(
        session,
        "operations.bias_wave.take_bias_waves",
        "bias_wave_results",
        keywords(session.op_name, kwargs, g3_tag=tag),
        rfrac_range,
    )


def _measure(
    session: Session,
    function: str,
    feed: str,
    wanted: dict[str, Any],
    rfrac_range: Sequence[float],
) -> None:
    with open_slot(session, streams=True) as (control, config):
        if _goes_by_the_last_map(wanted):
            check_earlier(session.op_name, session.slot, config, "take_bgmap")
        analysis = sodetlib_function(function)(control, config, **wanted)
    if not is_analysed(session, analysis, "R0"):
        return
    results = bias_results(
        analysis.filepath,
        bias_group=analysis.bgmap,
        rfrac=analysis.Rfrac,
        responsivity=analysis.Si,
        resistance=analysis.R0,
        rfrac_range=rfrac_range,
    )
    session.data.update(results.data)
    session.feed(feed, results.feed)


def _goes_by_the_last_map(wanted: Mapping[str, Any]) -> bool:
    """Return whether the requested analysis needs the bias group map of the device configuration."""
    analysis = wanted.get("analysis_kwargs") or {}
    brought = analysis.get("create_bg_map") or analysis.get("bg_map_file") is not None
    return bool(wanted.get("run_analysis", True)) and not brought
