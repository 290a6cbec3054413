"""Reads the settings from the site file and the ``SMURFQ_<SECTION>_<KEY>`` variables, which override the file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from smurfq.config.allowed import allowed
from smurfq.config.key_types import Section
from smurfq.config.sections import Crate
from smurfq.config.settings import Settings
from smurfq.config.stream_ids import reject_ambiguous, with_stream_ids
from smurfq.config.tls import check_tls
from smurfq.core.published_registers import QUANTITIES, is_quantity
from smurfq.core.slot import SlotId
from smurfq.core.suggestion import suggest
from smurfq.errors import ConfigError
from smurfq.operations import OPERATIONS

PREFIX = "SMURFQ_"
FILE_VARIABLE = "SMURFQ_CONFIG"
_SLOTS_VARIABLE = "SMURFQ_SLOTS"
_NAMES_A_SITE = (FILE_VARIABLE, "SMURFQ_REDIS_URL", "SMURFQ_REDIS_EMBEDDED_PORT", "SMURFQ_SITE")
_SYNONYMS = {"name": "site"}  # wrong keys that people are likely to write, with the right ones
Values = dict[str, Any]
T = TypeVar("T")


def load(environ: Mapping[str, str], site_file: Path | None = None) -> Settings:
    """Return the settings from the site file (``SMURFQ_CONFIG`` unless given) and the ``SMURFQ_*`` of ``environ``.

    An empty variable counts as not set, since `docker compose` passes unset variables as empty ones. The stream ids of
    the crates' slots are read from sys_config.yml if this process can read it.

    Raises
    ------
    ConfigError
        The file cannot be read, or a key or variable is unknown (the nearest known one is named), ill-typed
        or contradicts another.
    """
    settings, origin = load_as_given(environ, site_file)
    settings = with_stream_ids(settings, environ)
    _reject_contradictions(settings, origin)
    return settings


def load_as_given(environ: Mapping[str, str], site_file: Path | None = None) -> tuple[Settings, str]:
    """Return the settings as ``load`` does, but without those from sys_config.yml, and the name of their source."""
    path = site_file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    values: Values = {}
    if path is not None:
        read = _read_toml(path)
        _reject_unknown(read, Settings, "", str(path))
        from_file = _checked(str(path), lambda: Settings.model_validate_json(_as_json(read), strict=True))
        values = from_file.model_dump(exclude_unset=True)
    paths = variable_paths()
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in (FILE_VARIABLE, ""):
            _overlay(values, variable, environ[variable], paths)
    return Settings.model_validate(values), str(path) if path else "the environment"


def names_no_site(environ: Mapping[str, str]) -> bool:
    """Return whether ``environ`` names no Redis, so that smurfq uses the default address."""
    return not any(environ.get(name) for name in _NAMES_A_SITE)


def variables() -> tuple[str, ...]:
    """Return the names of all ``SMURFQ_*`` variables."""
    return (FILE_VARIABLE, _SLOTS_VARIABLE, *variable_paths())


def variable_paths() -> dict[str, tuple[str, ...]]:
    """Return the path of the key that each variable sets (except ``SMURFQ_CONFIG`` and ``_SLOTS``)."""
    paths: dict[str, tuple[str, ...]] = {}
    inner = dict(sections())
    for name in Settings.model_fields:
        if name in inner:
            paths |= {f"{PREFIX}{name}_{key}".upper(): (name, key) for key in inner[name].model_fields}
        elif name != "crates":
            paths[f"{PREFIX}{name}".upper()] = (name,)
    return paths


def sections() -> Iterator[tuple[str, type[Section]]]:
    """Return the tables of the site file."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield name, field.annotation


def _read_toml(path: Path) -> Values:
    try:
        return tomllib.loads(path.read_text())
    except OSError as cause:
        raise ConfigError(
            f"cannot read the site file {path}: {cause.strerror}; set SMURFQ_CONFIG to an existing file, or unset it",
            key=FILE_VARIABLE,
        ) from cause
    except RecursionError as cause:
        raise ConfigError(
            f"the site file {path} is nested too deep; examples/site.toml shows the form",
            key=FILE_VARIABLE,
        ) from cause
    except ValueError as cause:  # not TOML or UTF-8, or an integer with thousands of digits
        raise ConfigError(
            f"the site file {path} is not TOML: {cause}; examples/site.toml shows the form",
            key=FILE_VARIABLE,
        ) from cause


def _as_json(values: Values) -> str:
    # In JSON mode pydantic is strict about types (no 1 for true, no "1" for 1) and still accepts paths.
    return json.dumps(values, default=str)


def _reject_unknown(values: Any, model: type[BaseModel], prefix: str, origin: str) -> None:
    if not isinstance(values, dict):
        return
    inner = dict(sections()) if model is Settings else {}
    for key, value in values.items():
        if key not in model.model_fields:
            known = [prefix + name for name in model.model_fields]
            near = suggest(_SYNONYMS.get(prefix + key, prefix + key), known)
            raise ConfigError(f"unknown key {prefix}{key} in {origin}{near}", key=prefix + key)
        if key in inner:
            _reject_unknown(value, inner[key], f"{prefix}{key}.", origin)
        elif key == "crates" and isinstance(value, list):
            for crate in value:
                _reject_unknown(crate, Crate, "crates.", origin)


def _overlay(values: Values, variable: str, text: str, paths: Mapping[str, tuple[str, ...]]) -> None:
    if variable != _SLOTS_VARIABLE and variable not in paths:
        raise ConfigError(f"unknown variable {variable}{suggest(variable, variables())}", key=variable)
    if not text.strip():
        return
    if variable == _SLOTS_VARIABLE:
        crates = {"crates": _crates(text)}
        values["crates"] = _checked(variable, lambda: Settings.model_validate(crates)).crates
        return
    *outer, key = paths[variable]
    model = dict(sections())[outer[0]] if outer else Settings
    target = values.setdefault(outer[0], {}) if outer else values
    target[key] = getattr(_checked(variable, lambda: _parsed(model, key, variable, text)), key)


def _parsed(model: type[Section], key: str, variable: str, text: str) -> Section:
    """Return ``model`` with the key that a variable sets; colons separate a list, and a table is JSON."""
    field_type = get_origin(model.model_fields[key].annotation)
    if field_type is tuple:
        listed = json.dumps({key: [part for part in text.split(":") if part]})
        return model.model_validate_json(listed, strict=True)
    if field_type is Mapping:
        try:
            table = json.dumps({key: json.loads(text)})
        except ValueError as cause:
            raise ConfigError(
                f"{variable} must be a JSON object, as in '{{\"take_iv\": 900}}'; got {text!r} ({cause})",
                key=variable,
            ) from cause
        return model.model_validate_json(table, strict=True)
    return model.model_validate_strings({key: text})


def _crates(text: str) -> list[Values]:
    crates: dict[int, Values] = {}
    for part in text.replace(",", " ").split():
        place, _, stream_id = part.partition("=")
        try:
            slot = SlotId.parse(place)
        except ConfigError as cause:
            raise ConfigError(f"{_SLOTS_VARIABLE}: {cause}", key=_SLOTS_VARIABLE) from cause
        crate = crates.setdefault(slot.crate, {"id": slot.crate, "slots": [], "stream_ids": {}})
        crate["slots"].append(slot.slot)
        if stream_id:
            crate["stream_ids"][slot.slot] = stream_id
    return list(crates.values())


def _checked(origin: str, validate: Callable[[], T]) -> T:
    """Call ``validate`` and return its result. Convert pydantic's error to one that names key, rule and value."""
    try:
        return validate()
    except ValidationError as cause:
        # No `from cause`: a traceback would then show the values that pydantic got, including passwords.
        raise _config_error(origin, cause) from None


def _config_error(origin: str, cause: ValidationError) -> ConfigError:
    problem = cause.errors()[0]
    location = problem["loc"]
    model, inner_location = _model_at(cause.title, location)
    key = str(inner_location[0])
    name = ".".join(str(part) for part in location)
    where = f"{name} in {origin}"
    if origin.startswith(PREFIX):
        inner_name = ".".join(str(part) for part in inner_location[1:])
        where = f"{inner_name} in {origin}" if inner_name else origin
    if problem["type"] == "missing":
        table = ".".join(str(part) for part in location[:-1])
        return ConfigError(f"{table} in {origin} lacks {key}: {allowed(model, key)}", key=name)
    if problem["type"] == "value_error":
        rule = str(problem["ctx"]["error"])
    elif len(inner_location) > 1:
        rule = allowed(model, key).rpartition(", each ")[2].removeprefix("item ").removeprefix("value ")
    else:
        rule = allowed(model, key)
    return ConfigError(f"{where} must be {rule}{_came(problem['input'], _secret(model, key))}", key=name)


def _secret(model: type[BaseModel], key: str) -> bool:
    inner = dict(sections()) if model is Settings else {}
    if key in inner:
        return any(not field.repr for field in inner[key].model_fields.values())
    return not model.model_fields[key].repr


def _model_at(title: str, location: Sequence[str | int]) -> tuple[type[BaseModel], Sequence[str | int]]:
    """Return the model in which an error's location ends, and the rest of the location, from its key on."""
    inner = dict(sections())
    for model in inner.values():
        if model.__name__ == title:
            return model, location
    if len(location) > 1 and location[0] in inner:
        return inner[str(location[0])], location[1:]
    if len(location) > 2 and location[0] == "crates":
        return Crate, location[2:]
    return Settings, location


def _came(value: Any, secret: bool) -> str:
    if secret:
        return "; the value is not shown, since it may be a password"
    text = repr(value)
    return f"; got {text if len(text) <= 100 else text[:100] + '…'}"


def _reject_contradictions(settings: Settings, origin: str) -> None:
    repeated = [slot for slot in settings.slots if settings.slots.count(slot) > 1]
    if repeated:
        raise ConfigError(f"slot {repeated[0]} is listed twice in {origin}; list each slot once", key="crates")
    for name in settings.limits.operations:
        if name not in OPERATIONS:
            near = suggest(name, OPERATIONS)
            raise ConfigError(
                f"limits.operations names {name!r}, which is not an operation{near}", key="limits.operations"
            )
    _reject_unknown_quantities(settings)
    reject_ambiguous(settings, origin)
    for instance, slot in settings.ocs.instances.items():
        names = [*settings.slots, *settings.stream_ids.values()]
        if slot not in names:
            near = suggest(slot, dict.fromkeys(names))
            raise ConfigError(
                f"ocs.instances.{instance} is {slot!r}, which is not a slot of the site{near}", key="ocs.instances"
            )
    check_tls(settings, origin)
    if settings.bridge.relay == f"{settings.bridge.host}:{settings.bridge.port}":
        raise ConfigError(
            f"bridge.relay is the bridge's own address {settings.bridge.relay}: every datagram would come "
            "back endlessly; set it to the other receiver's address",
            key="bridge.relay",
        )
    ports = {"flower.port": settings.flower.port}
    if settings.redis.url is None:
        ports["redis.embedded_port"] = settings.redis.embedded_port
    if settings.bridge.metrics_port:
        ports["bridge.metrics_port"] = settings.bridge.metrics_port
    for key, port in ports.items():
        others = [other for other, its_port in ports.items() if its_port == port and other != key]
        if others:
            raise ConfigError(f"{key} and {others[0]} are both {port}; give each its own TCP port", key=key)


def _reject_unknown_quantities(settings: Settings) -> None:
    for key in ("max", "min"):
        for name in getattr(settings.registers, key):
            if not is_quantity(name):
                near = suggest(name, [one.name for one in QUANTITIES])
                raise ConfigError(
                    f"registers.{key} names {name!r}, which is neither a quantity nor the end of a register's path "
                    f"(EM22xx.IOUT){near}",
                    key=f"registers.{key}",
                )
