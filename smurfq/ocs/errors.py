"""The error that OCS's clients raise if an agent cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smurfq.errors import SmurfqError

if TYPE_CHECKING:
    OcsError = RuntimeError
else:
    try:  # if ocs is installed, `except` with its ControlClientError must catch this error
        from ocs.client_http import ControlClientError as OcsError
    except ImportError:
        OcsError = RuntimeError


class ControlClientError(SmurfqError, OcsError):
    """The requested slot is not in the site's configuration, or Redis did not answer."""
