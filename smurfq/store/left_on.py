"""Stores in Redis a note for each slot with the parts that a run left on; `smurfq status` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smurfq.core import keys
from smurfq.core.card_after import LeftOn
from smurfq.core.jsonsafe import dumps, loads
from smurfq.store.connection import Client


class LeftOnNotes:
    """The notes of a site's slots."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def of(self, slots: Sequence[str]) -> dict[str, LeftOn]:
        """Return the note of each slot that has one."""
        texts: Any = self._client.mget([keys.left_on(slot) for slot in slots]) if slots else []
        return {slot: LeftOn(**loads(text)) for slot, text in zip(slots, texts, strict=True) if text}

    def write(self, slot: str, note: LeftOn | None) -> None:
        """Replace the note of a slot; None removes it."""
        if note is None:
            self._client.delete(keys.left_on(slot))
        else:
            self._client.set(keys.left_on(slot), dumps(note.to_dict()))
