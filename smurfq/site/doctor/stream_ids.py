"""Checks that sys_config.yml, the site file and the workers agree on the stream id of each slot."""

from __future__ import annotations

from collections.abc import Iterator

from smurfq.config.loading import load_as_given
from smurfq.config.stream_ids import SYS_CONFIG, config_dir, given, in_sys_config
from smurfq.site.doctor.finding import Examined, Finding, ok, warn
from smurfq.store import connect
from smurfq.store.stream_ids import StreamIds

_FILE, _WORKER = "the site file", "its worker"


def check(examined: Examined) -> Iterator[Finding]:
    """Compare the stream ids of each slot. The archive depends on them, so no finding advises to rename a module."""
    settings = examined.settings
    as_given, _ = load_as_given(examined.environ)
    sources = {
        SYS_CONFIG: in_sys_config(config_dir(settings, examined.environ), settings),
        _FILE: given(as_given),
        _WORKER: _reported(examined),
    }
    for slot in settings.slots:
        known = {source: found[slot] for source, found in sources.items() if slot in found}
        yield _compared(slot, known, settings.stream_ids[slot])


def _reported(examined: Examined) -> dict[str, str]:
    if not examined.redis_answers:
        return {}
    with connect(examined.settings.redis_url, retries=0) as client:
        return dict(StreamIds(client).read())


def _compared(slot: str, known: dict[str, str], used: str) -> Finding:
    name = f"stream id of {slot}"
    names = set(known.values())
    if len(names) > 1:
        said = ", ".join(f"{stream_id!r} by {source}" for source, stream_id in known.items())
        return warn(name, f"the sources differ: {said}", _todo(slot, known))
    if not known:
        return ok(name, f"{used}, its place: no file that this machine can read and no worker gives another")
    return ok(name, f"{names.pop()}, by {', '.join(known)}")


def _todo(slot: str, known: dict[str, str]) -> str:
    if SYS_CONFIG not in known:
        return f"correct stream_ids of {_FILE}, or remove it there: the worker reports that of its server"
    steps = []
    if known.get(_FILE, known[SYS_CONFIG]) != known[SYS_CONFIG]:
        steps.append(f"correct stream_ids of {_FILE}")
    if known.get(_WORKER, known[SYS_CONFIG]) != known[SYS_CONFIG]:
        steps.append(f"restart the worker of {slot}, which read {SYS_CONFIG} at its start")
    return f"{'; '.join(steps)}. {SYS_CONFIG} must have the name under which the smurf server streams"
