"""Streams on several slots that start together and are always stopped by the workflow that started them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Iterator
from typing import Any, Unpack

from smurfq.core.session import Event
from smurfq.errors import RequestError
from smurfq.workflows.host import pause
from smurfq.workflows.policy import How, check_options, split_options
from smurfq.workflows.report import Report, SlotOutcome, SlotReport
from smurfq.workflows.running import Workflow, current
from smurfq.workflows.step import Asked, Step
from smurfq.workflows.verdict import gone_report, is_on, queued_report, started_report

ON_WITHIN_S = 180.0
_OPERATION = "stream"
_MARGIN_S = 30.0


class Streams:
    """Streams that were started together on the remaining slots of a workflow.

    ``report`` is the report of their start, ``ended`` that of their end.
    """

    def __init__(self, workflow: Workflow, params: dict[str, Any], how: How, *, wait_for_stream: bool = True) -> None:
        check_options(_OPERATION, how)
        self.workflow = workflow
        self.ended: Report | None = None
        self._off: Step | None = None
        self._on: dict[str, bool] = {}
        within_s = how.get("deadline_s", ON_WITHIN_S)
        asked = Asked(_OPERATION, params, within_s)
        with workflow.step("stream on", how.get("targets")) as step:
            self._step: Step = step
            began = time.time()
            workflow.leash.start()
            workflow.streams.append(self)
            step.send(asked, step.slots, 1, how.get("stagger_s", 0.0), leashed=True)
            reports = self._await(within_s) if wait_for_stream else self._queued()
            for slot, one in reports.items():
                if not one.ok:
                    step.give_up(slot, one.outcome, one.reason)
            try:
                self.report = workflow.conclude(step, Report("stream on", reports, began, time.time()), how)
            finally:
                unresponsive = [slot for slot in step.slots if not reports[slot].ok]
                step.end(set(unresponsive) & set(self._sent()), "its stream did not start", abort=True)

    @property
    def slots(self) -> list[str]:
        """The slots that stream now or will stream."""
        return [slot for slot in self._step.slots if slot not in self.workflow.dropped]

    def check(self) -> Report | None:
        """Check that all slots still stream; drop the others, and return a report with the reasons.

        Raises
        ------
        WorkflowHaltedError
            Too few slots are left.
        """
        runs = self._step.runs
        runs.wait(self.slots, runs.over, until=time.monotonic())
        reports = {slot: gone_report(self._step.report(slot)) for slot in self.slots if runs.over(slot)}
        if not reports:
            return None
        for slot, one in reports.items():
            self._step.give_up(slot, one.outcome, one.reason)
        return self.workflow.conclude(self._step, Report(_OPERATION, reports))

    def wait(self, seconds: float) -> None:
        """Stream for ``seconds``; drop each slot whose stream ends earlier.

        Raises
        ------
        WorkflowHaltedError
            Too few slots are left.
        """
        runs, host, until = self._step.runs, self.workflow.host, time.monotonic() + seconds
        self.check()
        while self.slots and time.monotonic() < until:
            runs.wait(self.slots, self._any_is_over, until=until, check=host.check)
            self.check()
        pause(host, until - time.monotonic())

    def close(self) -> Report:
        """Close all streams, and return their report; a second call returns the same report."""
        if self.ended is not None:
            return self.ended
        began, streaming, step = time.time(), self.slots, self._step
        within_s = self.workflow.connection.settings.limits.close_stream_s + _MARGIN_S
        going_on = step.runs.wait(self._sent(), step.runs.over, until=time.monotonic())
        step.end(going_on, "its workflow ends it")
        off = self.workflow.new_step("stream off", streaming, step.runs)
        late = step.runs.wait(going_on, step.runs.over, until=time.monotonic() + within_s)
        for slot in late:
            step.give_up(
                slot, SlotOutcome.TIMED_OUT, f"its stream was not closed within {within_s:g} s, and was aborted"
            )
        if late:
            step.end_all("its stream did not close", abort=True)
        self.ended = Report("stream off", {slot: step.report(slot) for slot in streaming}, began, time.time())
        off.reports.update(self.ended.slots)
        off.write("done")
        self._off = off
        return self.ended

    def conclude(self, how: How | None = None) -> Report:
        """Close all streams, and drop each slot whose stream did not succeed.

        Raises
        ------
        WorkflowHaltedError
            Too few slots are left.
        """
        ended = self.close()
        assert self._off is not None
        return self.workflow.conclude(self._off, ended, how)

    def _await(self, within_s: float) -> dict[str, SlotReport]:
        """Wait until each stream is on or has ended, at most ``within_s``; return the report of the start."""
        runs = self._step.runs
        until = time.monotonic() + within_s
        late = runs.wait(self._sent(), self._on_or_over, until=until, check=self.workflow.host.check, heed=self._heed)
        return {
            slot: started_report(self._step.report(slot), late=slot in late, over=runs.over(slot), within_s=within_s)
            for slot in self._step.slots
        }

    def _queued(self) -> dict[str, SlotReport]:
        """Return the report of the start, if the caller requested queueing only."""
        return {slot: queued_report(self._step.report(slot)) for slot in self._step.slots}

    def _heed(self, slot: str, events: list[Event]) -> None:
        self._on[slot] = is_on(events, self._on.get(slot, False))

    def _on_or_over(self, slot: str) -> bool:
        return self._step.runs.over(slot) or self._on.get(slot, False)

    def _any_is_over(self, _slot: str) -> bool:
        return any(map(self._step.runs.over, self.slots))

    def _sent(self) -> list[str]:
        return [slot for slot in self._step.slots if self._step.report(slot).record_id is not None]


@contextlib.contextmanager
def streaming(
    slots: Collection[str | int] | str | None = None,
    *,
    tag: str | None = None,
    subtype: str | None = None,
    load_tune: bool = True,
    stream_type: str = "obs",
    kwargs: dict[str, Any] | None = None,
    **how: Unpack[How],
) -> Iterator[Streams]:
    """Stream on ``slots``, or on all remaining slots, from the beginning of the block to its end.

    They start together, within ``deadline_s`` (180 s). They are closed when the block ends for any reason, including an
    error, Ctrl-C, SIGTERM or a kill of this process.

    Raises
    ------
    WorkflowHaltedError
        Too few streams started. The streams that started are closed.
    """
    params = {
        "tag": tag,
        "subtype": subtype,
        "load_tune": load_tune,
        "stream_type": stream_type,
        "kwargs": kwargs,
    }
    if slots is not None:
        how["targets"] = slots  # type: ignore[typeddict-item]
    with contextlib.ExitStack() as stack:
        workflow = current() or stack.enter_context(Workflow(how.get("targets")))
        known = len(workflow.streams)
        try:
            streams = Streams(workflow, _given(params), how)
            yield streams
        except BaseException:
            for each in workflow.streams[known:]:
                each.close()
            raise
        streams.conclude(how)


def stream(
    state: str,
    tag: str | None = None,
    subtype: str | None = None,
    wait_for_stream: bool = True,
    *,
    load_tune: bool = True,
    stream_type: str = "obs",
    kwargs: dict[str, Any] | None = None,
    **more: Any,
) -> Report:
    """Turn streams ``on`` or ``off`` in a workflow. Streams that are still on at its end are closed.

    ``more`` are options of ``How``, and keywords that are passed to sodetlib like those in ``kwargs``, as in sorunlib.

    Raises
    ------
    RequestError
        ``state`` is neither ``on`` nor ``off``, or no workflow is running in this context.
    WorkflowHaltedError
        Too few streams started, or too few ended successfully.
    """
    workflow = current()
    if workflow is None:
        raise RequestError("stream() works only in a workflow, which closes its streams at the end; or use streaming()")
    how, passed = split_options(more)
    if str(state).lower() not in ("on", "off"):
        raise RequestError(f"stream: state must be 'on' or 'off'; got {state!r}")
    if state.lower() == "on":
        params = {
            "tag": tag,
            "subtype": subtype,
            "load_tune": load_tune,
            "stream_type": stream_type,
            "kwargs": {**passed, **(kwargs or {})} or None,
        }
        return Streams(workflow, _given(params), how, wait_for_stream=wait_for_stream).report
    began = time.time()
    reports: dict[str, SlotReport] = {}
    still_on = [one for one in workflow.streams if one.ended is None]
    for one in still_on:  # close all before one that did not succeed may halt the workflow
        reports.update(one.close().slots)
    for one in still_on:
        one.conclude(how)
    return Report("stream off", reports, began, time.time())


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}
