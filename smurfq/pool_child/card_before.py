"""Makes the card safe before a run, if an earlier run left it unsafe.

If nothing answers, or `make_safe` fails, the run may not open the card: the card could come back in the middle of the
run, and still be unsafe. docs/decisions/0023-the-card-after-a-run.md gives the reasons.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from smurfq.core.card_after import CardAfter, LeftOn
from smurfq.pool_child.aftercare import MakeSafe
from smurfq.pool_child.job import Job
from smurfq.store import patiently
from smurfq.store.connection import Client
from smurfq.store.left_on import LeftOnNotes

_FOR_SILENT_CARDS: Final = ("all_off", "restart_rssi")  # they must not wait for a card that does not answer
_USE_NO_CARD: Final = ("test",)


def make_safe_first(job: Job, reason: str | None, client: Client, make_safe: MakeSafe) -> tuple[Job, str]:
    """The job as it may be run, and in words what was found on the card and done; empty if nothing had to be done.

    ``reason`` says what ended without making the card safe, for example a worker that died. A note in Redis says what
    an earlier run left on. ``make_safe`` runs `make_safe` with some parameters in a new process.
    """
    notes = LeftOnNotes(client)
    earlier = patiently(lambda: notes.of([job.slot])).get(job.slot)
    unsafe = earlier if earlier is not None and earlier.is_unsafe else None
    if not reason and (unsafe is None or job.op_name in (*_FOR_SILENT_CARDS, *_USE_NO_CARD)):
        return job, ""
    expected = unsafe.expected if unsafe is not None else {}
    policy = CardAfter.OFF if reason or not expected else CardAfter.RESTORE
    findings, done = _try_twice(lambda: make_safe({"policy": policy.value, "start": expected}))
    left = None if findings.get("left_on") == "" else _new_note(findings) if reason else unsafe
    if left != earlier:
        patiently(lambda: notes.write(job.slot, left))
    text = f"{f'the card was left unsafe: {reason}' if reason else unsafe}; the card: {done}"
    if _answers(findings) or job.op_name in _FOR_SILENT_CARDS:
        return job, text
    return replace(job, card_closed=_why_closed(job.slot, findings)), text


def _try_twice(make_safe: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The findings, and in words what was done.

    The second try is for a card that came back during the first, so that only a part of its registers answered.
    """
    findings = make_safe()
    text = str(findings["text"])
    if not (_answers(findings) and findings.get("unknown")):
        return findings, text
    findings = make_safe()
    return findings, f"{text}; tried again: {findings['text']}"


def _new_note(findings: dict[str, Any]) -> LeftOn:
    """The note of what is still on, of a run that nobody knows."""
    text = findings.get("left_on") or f"unknown: {findings.get('error')}"
    return LeftOn(text, "", "an earlier run", time.time(), findings.get("expected", {}), is_unsafe=True)


def _answers(findings: dict[str, Any]) -> bool:
    """Return whether any register of the card answered."""
    return any(value is not None for value in findings.get("after", {}).values())


def _why_closed(slot: str, findings: dict[str, Any]) -> str:
    if "error" in findings:
        return (
            f"the card of {slot} was not made safe after an earlier run, because make_safe failed: "
            f"{findings['error']}; so this run may not open it. See the worker's log, then submit this again"
        )
    return (
        f"the card of {slot} does not answer, and was not made safe after an earlier run, so this run may not open it. "
        "Start its smurf server or run restart_rssi, then submit this again"
    )
