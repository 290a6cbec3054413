"""The interface of the session that ``opening`` puts into a SmurfControl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from smurfq.config import Settings


class SessionProtocol(Protocol):
    """The session of a running operation: sodetlib's ``S._ocs_session``, and its slot's settings."""

    settings: Settings
    slot: str
    op_name: str
    data: dict[str, Any]

    @property
    def status(self) -> str:
        """Return ``running``, or ``stopping`` after a stop or abort was requested."""

    def add_message(self, text: Any) -> None:
        """Add a message for people to the record."""

    def stage(self, name: str) -> None:
        """Record that a stage of the operation begins."""

    def note_card(self, state: Mapping[str, Any] | None) -> None:
        """Note the card's ``state`` at the start, so that it can be compared after the operation."""

    def header(self, **values: Any) -> None:
        """Set fields of the record's header."""
