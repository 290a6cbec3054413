"""The steps of an observation, with the names and arguments of sorunlib; each returns a ``Report`` by slot.

In a ``Workflow``, a step runs on the remaining slots. Elsewhere each step is a workflow of its own, on all slots of the
site or on ``targets``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from smurfq.client.slot import Slot
from smurfq.errors import RequestError
from smurfq.workflows.policy import How
from smurfq.workflows.report import Report
from smurfq.workflows.running import Workflow, current

SETTLING_S = 120.0  # between two slots, if the step heats the array


def run_operation(
    operation: str,
    params: Mapping[str, Any] | None = None,
    concurrent: bool = True,
    settling_time: float = 0.0,
    **how: Unpack[How],
) -> Report:
    """Run any operation as a step; see ``Workflow.run``."""
    workflow = current()
    if workflow is not None:
        return workflow.run(operation, concurrent, settling_time, params, **how)
    with Workflow(how.get("targets")) as alone:
        return alone.run(operation, concurrent, settling_time, params, **how)


def set_targets(targets: Iterable[str | int] | str) -> None:
    """Limit the following steps to these slots.

    Raises
    ------
    RequestError
        No workflow is running in this context.
    """
    _this_workflow("set_targets").set_targets(targets)


def wait(seconds: float) -> None:
    """Wait for ``seconds``; an abort of the workflow ends the wait.

    Raises
    ------
    RequestError
        No workflow is running in this context.
    """
    _this_workflow("wait").wait(seconds)


def say(text: str) -> None:
    """Write a line to the workflow's record, or to the producer's log.

    Raises
    ------
    RequestError
        No workflow is running in this context.
    """
    _this_workflow("say").message(text)


def forgive(*slots: str | int) -> None:
    """Restore all dropped slots, or those that are named.

    Raises
    ------
    RequestError
        No workflow is running in this context.
    """
    _this_workflow("forgive").forgive(*slots)


def stop_streams() -> None:
    """Stop all streams on the slots, including those that the workflow did not start.

    Raises
    ------
    RequestError
        No workflow is running in this context.
    """
    workflow = _this_workflow("stop_streams")
    workflow.hold_point("stop_streams")
    for name in workflow.left:
        run = Slot(name, connection=workflow.connection).running()
        if run is not None and run.header().op_name == "stream":
            run.stop(f"workflow {workflow.id[:8]}", "the streams are being stopped")
            workflow.message(f"the stream {run.id[:8]} on {name} was asked to end")


def uxm_setup(
    concurrent: bool = True,
    settling_time: float = 0.0,
    *,
    bands: Any = None,
    kwargs: dict[str, Any] | None = None,
    **how: Unpack[How],
) -> Report:
    """Set up each UXM from the beginning."""
    return run_operation("uxm_setup", {"bands": bands, "kwargs": kwargs}, concurrent, settling_time, **how)


def uxm_relock(
    concurrent: bool = True,
    settling_time: float = 0.0,
    *,
    bands: Any = None,
    kwargs: dict[str, Any] | None = None,
    **how: Unpack[How],
) -> Report:
    """Lock each UXM again on the resonators of its tune."""
    return run_operation("uxm_relock", {"bands": bands, "kwargs": kwargs}, concurrent, settling_time, **how)


def iv_curve(
    tag: str | None = None,
    iv_kwargs: dict[str, Any] | None = None,
    concurrent: bool = True,
    settling_time: float | None = None,
    **how: Unpack[How],
) -> Report:
    """Take an IV curve of every detector.

    With ``concurrent=False``, it waits ``settling_time`` (120 s by default) between two slots.
    """
    settle_s = SETTLING_S if settling_time is None else settling_time
    return run_operation("take_iv", {"tag": tag, "kwargs": iv_kwargs}, concurrent, settle_s, **how)


def bias_step(
    tag: str | None = None,
    concurrent: bool = True,
    settling_time: float | None = None,
    *,
    kwargs: dict[str, Any] | None = None,
    rfrac_range: tuple[float, float] | None = None,
    **how: Unpack[How],
) -> Report:
    """Take bias steps.

    With ``concurrent=False``, it waits ``settling_time`` (120 s by default) between two slots.
    """
    settle_s = SETTLING_S if settling_time is None else settling_time
    params = {"tag": tag, "kwargs": kwargs, "rfrac_range": rfrac_range}
    return run_operation("take_bias_steps", params, concurrent, settle_s, **how)


def bias_dets(
    rfrac: float | tuple[float, float] | None = None,
    concurrent: bool = True,
    settling_time: float = 0.0,
    *,
    kwargs: dict[str, Any] | None = None,
    **how: Unpack[How],
) -> Report:
    """Bias the detectors into their transition: to a fraction of R_n, or into a range of it."""
    return run_operation("bias_dets", {"rfrac": rfrac, "kwargs": kwargs}, concurrent, settling_time, **how)


def set_biases(
    bias: Any, bias_group: Any = None, concurrent: bool = True, settling_time: float = 0.0, **how: Unpack[How]
) -> Report:
    """Set the bias voltage of bias groups: one voltage for all, or one for each."""
    return run_operation("set_biases", {"bias": bias, "bgs": bias_group}, concurrent, settling_time, **how)


def zero_biases(
    bias_group: Any = None, concurrent: bool = True, settling_time: float = 0.0, **how: Unpack[How]
) -> Report:
    """Set the bias voltage of bias groups to zero."""
    return run_operation("zero_biases", {"bgs": bias_group}, concurrent, settling_time, **how)


def overbias(bias_group: Any = None, concurrent: bool = True, settling_time: float = 0.0, **how: Unpack[How]) -> Report:
    """Drive the detectors normal with a high bias."""
    return run_operation("overbias_tes", {"bgs": bias_group}, concurrent, settling_time, **how)


def take_bgmap(
    tag: str | None = None,
    concurrent: bool = True,
    settling_time: float = 0.0,
    *,
    kwargs: dict[str, Any] | None = None,
    **how: Unpack[How],
) -> Report:
    """Measure the bias group of every channel."""
    return run_operation("take_bgmap", {"tag": tag, "kwargs": kwargs}, concurrent, settling_time, **how)


def take_noise(
    tag: str | None = None,
    concurrent: bool = True,
    settling_time: float = 0.0,
    *,
    duration: float | None = None,
    kwargs: dict[str, Any] | None = None,
    **how: Unpack[How],
) -> Report:
    """Measure the white noise of every channel."""
    params = {"tag": tag, "duration": duration, "kwargs": kwargs}
    return run_operation("take_noise", params, concurrent, settling_time, **how)


def shutdown(concurrent: bool = True, settling_time: float = 0.0, **how: Unpack[How]) -> Report:
    """Turn off tones, flux ramp, biases and amplifiers."""
    return run_operation("all_off", None, concurrent, settling_time, **how)


def _this_workflow(what: str) -> Workflow:
    workflow = current()
    if workflow is None:
        raise RequestError(f"{what}() works only in a workflow: `with Workflow(slots):`, or a function with @workflow")
    return workflow
