"""Makes a card safe after a run: chooses the policy, has a new process apply it, and notes what is left on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from smurfq.core import session as events
from smurfq.core.card_after import MAKE_SAFE, NOTHING_LEFT_ON, CardAfter, LeftOn
from smurfq.core.session import Event
from smurfq.operation_process.session import CARD_AT_START
from smurfq.store import best_effort
from smurfq.store.connection import Client
from smurfq.store.left_on import LeftOnNotes

_TOLD_AFTER_SUCCESS = ("run",)  # every other operation leaves on what its contract says

MakeSafe = Callable[[Mapping[str, Any]], dict[str, Any]]


class Aftercare:
    """The card of one run: its state at the start, and what was found and done after the run.

    ``add`` takes the events for the record; ``make_safe`` runs `make_safe` with some parameters in a new process.
    """

    def __init__(self, op_name: str, task_id: str, add: Callable[[Event], None], make_safe: MakeSafe) -> None:
        self._op_name = op_name
        self._task_id = task_id
        self._add = add
        self._make_safe = make_safe
        self._touched = False
        self._has_execed = False
        self._start_is_late = False  # children may have driven the card before it was noted
        self._start: dict[str, Any] | None = None
        self.text = ""  # the state of the card, where it is worth telling
        self._left: LeftOn | None = None
        self._is_to_be_off = False  # whatever was on before the run

    def add(self, event: Event) -> None:
        """Take an event of the operation; keep the one with the card's state at the start, and pass the others on."""
        if event["k"] != CARD_AT_START:
            self._add(event)
        elif (state := event.get("state")) is None:
            self._touched, self._start_is_late = True, self._start is not None
        else:
            self._touched, self._start = True, self._start or state

    def suspect(self, *, has_execed: bool) -> None:
        """Have the card looked at although the operation's own process was not seen to use it.

        Where it ``has_execed``, it is the program it became that may have.
        """
        self._touched, self._has_execed = True, has_execed

    def run(self, *, died: bool, succeeded: bool, stage: str | None) -> None:
        """Have a new process look at the card and switch off what must be off; its findings go into the record."""
        policy = self._policy(died=died, succeeded=succeeded)
        if policy is None:
            return
        self._is_to_be_off = policy is CardAfter.OFF
        killed = {"killed": self._op_name, "stage": stage} if died else {}
        findings = self._make_safe({"policy": policy.value, "start": self._start, **killed})
        if policy is CardAfter.LOOK and self._start is None and ("error" in findings or findings.get("unknown")):
            return  # a program that may have used no card, and no card that answers
        if policy is CardAfter.RESTORE and self._start_is_late:
            findings = self._with_what_was_on(findings)
        text = str(findings["text"])
        left_on = findings.get("left_on") or (f"unknown: {findings['error']}" if "error" in findings else "")
        if policy is not CardAfter.LOOK or text != NOTHING_LEFT_ON:
            self.text = text
            self._add(events.data_set({MAKE_SAFE: findings}, time.time()))
            self._add(events.message(f"the card: {text}", time.time()))
        if left_on:
            expected = findings.get("expected") or (self._start if policy is CardAfter.RESTORE else None) or {}
            dacs = findings.get("after", {}).get("bias_dacs")
            is_unsafe = policy is not CardAfter.LOOK
            self._left = LeftOn(left_on, self._task_id, self._op_name, time.time(), expected, dacs, is_unsafe)

    def _with_what_was_on(self, findings: dict[str, Any]) -> dict[str, Any]:
        """The findings with what is on and was so at the start: a child of the operation may have switched it on."""
        look = self._make_safe({"policy": CardAfter.LOOK.value})
        if "error" in findings or not look.get("left_on"):
            return findings
        texts = [text for text in (findings["text"], look["text"]) if text != NOTHING_LEFT_ON]
        return {**findings, "text": "; ".join(texts), "left_on": look["left_on"], "expected": look["expected"]}

    def note(self, slot: str, client: Client) -> None:
        """Note for `smurfq status` what the run left on; an earlier run's note stays while that is still on."""
        if not self._touched and not self.text:
            return
        notes = LeftOnNotes(client)
        with best_effort(f"`smurfq status` cannot show what was left on on {slot}", level=logging.WARNING):
            earlier = notes.of([slot]).get(slot)
            now = self._left or (self._still_left(earlier) if earlier is not None else None)
            if now is not None and earlier is not None and earlier.is_unsafe and not self._is_to_be_off:
                now = replace(now, expected=earlier.expected, is_unsafe=True)
            if now != earlier:
                notes.write(slot, now)

    def _policy(self, *, died: bool, succeeded: bool) -> CardAfter | None:
        if died:
            return CardAfter.OFF
        if not self._touched:
            return None
        if succeeded:
            is_told = (self._start is not None or self._has_execed) and self._op_name in _TOLD_AFTER_SUCCESS
            return CardAfter.LOOK if is_told else None
        return CardAfter.RESTORE

    def _still_left(self, earlier: LeftOn) -> LeftOn | None:
        """Check the card, and return a note of the parts that are still on; ``earlier`` if the check fails."""
        look = {"policy": CardAfter.LOOK.value, "start": earlier.expected, "noted_dacs": earlier.bias_dacs}
        findings = self._make_safe(look)
        if "error" in findings:
            return earlier
        return replace(earlier, text=findings["left_on"]) if findings["left_on"] else None
