"""The error that OCS's clients raise if an agent cannot be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smurfq.errors import SmurfqError

if TYPE_CHECKING:
    OcsError = RuntimeError
else:
    try:  # where ocs is installed, its users' `except ControlClientError` must catch ours
        from ocs.client_http import ControlClientError as OcsError
    except ImportError:
        OcsError = RuntimeError


class ControlClientError(SmurfqError, OcsError):
    """The slot asked for is not in the site's configuration, or Redis did not answer."""
