"""Scripts that run until a test lets them go on."""

from __future__ import annotations

from pathlib import Path

_WAITS = """
import os, time
print('waits', flush=True)
while not os.path.exists({path!r}):
    time.sleep(0.05)
{then}"""


class Gate:
    """A script that says that it runs and goes on once the gate is opened, and not a moment earlier."""

    def __init__(self, scripts: Path, name: str, then: str) -> None:
        self._path = scripts / f"{name}.open"
        self._path.unlink(missing_ok=True)
        path = scripts / f"{name}.py"
        path.write_text(_WAITS.format(path=str(self._path), then=then))
        self.script = str(path)

    def open(self) -> None:
        """Let the script go on."""
        self._path.touch()
