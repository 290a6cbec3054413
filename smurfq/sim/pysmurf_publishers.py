"""The two Publishers of a smurf server: pysmurf's own classes, which send messages as ``STREAMER:<stream id>`` by UDP.

A real server has two: ``SmurfPublisher`` of pysmurf's server code publishes registers as ``PySmurf_Server``, and
smurf-streamer's file writer has a ``Publisher`` without a script id, so it publishes as ``undeclared``. Their files are
loaded without their packages, because an import of `pysmurf.client` takes seconds and 150 MB, and one of `pysmurf.core`
needs rogue.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final

logger = logging.getLogger(__name__)

Address = tuple[str, int]
Value = int | float | str | bool

_FILES: Final = "client/util/pub.py"
_REGISTERS: Final = "core/utilities/_SmurfPublisher.py"


class FilePublisher:
    """Publishes the g3 files of one slot when they are closed."""

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher

    def file_closed(self, path: str) -> None:
        """Publish a file."""
        try:
            self._publisher.publish({"path": path, "archive_name": "timestreams"}, "g3_file")
        except OSError as error:
            logger.warning("the g3 file %s cannot be published: %s", path, error)


class PublishedVariable:
    """A variable of rogue, as far as `SmurfPublisher` uses it. ``path`` has dots."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._listener: Callable[[str, Any], None] | None = None

    def inGroup(self, _group: str) -> bool:  # noqa: N802 - rogue's name
        """Return whether it is in the publish group."""
        return True

    def addListener(self, listener: Callable[[str, Any], None]) -> None:  # noqa: N802 - rogue's name
        """Call ``listener`` with each value."""
        self._listener = listener

    def publish(self, value: Value) -> None:
        """Publish a value.

        Raises
        ------
        OSError
            It cannot be sent.
        """
        if self._listener is not None:
            self._listener(self.path, SimpleNamespace(value=value))


def can_publish() -> bool:
    """Return whether pysmurf's Publishers are installed."""
    return _path(_FILES) is not None and _path(_REGISTERS) is not None


def file_publisher(address: Address, stream_id: str) -> FilePublisher | None:
    """Return a publisher of g3 files; None if pysmurf is not installed or ``address`` is unknown."""
    publisher = _new(lambda: _load(_FILES).Publisher(options=_options(address, stream_id)), address)
    return None if publisher is None else FilePublisher(publisher)


def register_publisher(address: Address, stream_id: str, variables: Iterable[PublishedVariable]) -> Any:
    """Return the publisher of ``variables``, which publish while it exists; None as for `file_publisher`."""
    root = SimpleNamespace(variableList=list(variables))
    return _new(lambda: _load(_REGISTERS).SmurfPublisher(root, options=_options(address, stream_id)), address)


def _new(made: Callable[[], Any], address: Address) -> Any:
    """Return a Publisher, which sends a message when it is made."""
    if not can_publish():
        return None
    try:
        return made()
    except OSError as error:
        logger.warning("the simulated smurf server cannot publish to %s:%d: %s", *address, error)
        return None


def _options(address: Address, stream_id: str) -> dict[str, str]:
    host, port = address
    return {"ID": f"STREAMER:{stream_id}", "BACKEND": "udp", "UDP_HOST": host, "UDP_PORT": str(port)}


def _path(file: str) -> Path | None:
    package = importlib.util.find_spec("pysmurf")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder, file)).exists():
            return path
    return None


def _load(file: str) -> ModuleType:
    path = _path(file)
    assert path is not None
    spec = importlib.util.spec_from_file_location(f"{__name__}.{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
