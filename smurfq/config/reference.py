"""Lists all settings, derived from the models in ``sections``."""

from __future__ import annotations

from dataclasses import dataclass

from smurfq.config.allowed import allowed
from smurfq.config.loading import sections, variable_paths
from smurfq.config.settings import Settings


@dataclass(frozen=True)
class Row:
    """One setting: its variable, its key in the site file, its allowed values, default and meaning."""

    variable: str
    key: str
    allowed: str
    default: str
    meaning: str


def rows() -> list[Row]:
    """Return all settings that have a variable and a key, in the order of the site file."""
    found = []
    inner = dict(sections())
    for variable, path in variable_paths().items():
        model = inner[path[0]] if len(path) > 1 else Settings
        field = model.model_fields[path[-1]]
        found.append(
            Row(
                variable=variable,
                key=".".join(path),
                allowed=allowed(model, path[-1]),
                default=_default(field.get_default(call_default_factory=True)),
                meaning=field.description or "",
            )
        )
    return found


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value not in ((), {}) else "none"
