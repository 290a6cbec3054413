"""Reports the settings that are in force, and their sources."""

from __future__ import annotations

from collections.abc import Iterator

from smurfq.config import PREFIX
from smurfq.site.doctor.finding import Examined, Finding, ok, warn

_FILE_VARIABLE = "SMURFQ_CONFIG"


def check(examined: Examined) -> Iterator[Finding]:
    """Report the site file and the variables that are in force."""
    environ, settings = examined.environ, examined.settings
    path = environ.get(_FILE_VARIABLE)
    others = sorted(name for name in environ if name.startswith(PREFIX) and name != _FILE_VARIABLE and environ[name])
    over_it = f", and over it {', '.join(others)}" if others else ""
    slots = ", ".join(settings.slots)
    if path:
        yield ok("settings", f"{path}{over_it}; slots {slots}")
    else:
        yield warn(
            "settings",
            f"no site file: defaults{over_it}; slots {slots}",
            "set SMURFQ_CONFIG to a site file (examples/site.toml shows all keys)",
        )
    if settings.simulated:
        yield warn("simulated", "the slots are simulated, and every record says so", "unset simulated for a real crate")
