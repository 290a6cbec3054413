"""Any site file and environment give either settings or a ``ConfigError`` that names the error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from smurfq.config import Settings, load, variables
from smurfq.config.loading import sections
from smurfq.errors import ConfigError

KEYS = {name: tuple(model.model_fields) for name, model in sections()}
SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
    | st.sampled_from(["crate1slot2", "redis://h", "host:8201", "/a", "~/b", "udp", "queue"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab-_", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
TABLES = st.sampled_from(sorted(KEYS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.dictionaries(st.sampled_from(KEYS[name]) | st.text("abc", min_size=1, max_size=3), VALUES, max_size=3),
    )
)
CRATES = st.lists(
    st.fixed_dictionaries({}, optional={"id": VALUES, "slots": VALUES | st.lists(st.integers(0, 8), max_size=4)}),
    max_size=3,
)
FILES = st.builds(
    lambda tables, crates, top: {**dict(tables), **({"crates": crates} if crates is not None else {}), **top},
    st.lists(TABLES, max_size=3),
    st.none() | CRATES | VALUES,
    st.dictionaries(st.sampled_from([*Settings.model_fields, "slots", "site"]), VALUES, max_size=2),
)
QUICK = hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def toml(value: Any) -> str:
    """``value`` as TOML writes it, tables inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def told(environ: dict[str, str], path: Path | None = None) -> str:
    """What a refusal says; empty where there is none."""
    try:
        assert isinstance(load(environ, path), Settings)
    except ConfigError as error:
        assert error.fields["key"]
        return str(error)
    return ""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("site") / "site.toml"


@QUICK
@given(FILES)
def test_any_table_is_settings_or_a_refusal_that_names_a_key(path: Path, found: dict[str, Any]) -> None:
    path.write_text("".join(f"{toml(key)} = {toml(value)}\n" for key, value in found.items()), encoding="utf-8")
    said = told({}, path)
    assert "is not TOML" not in said, (said, path.read_text())
    if said:
        assert str(path) in said
        assert len(said) < 2000


@QUICK
@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf[redis]\n")
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"9" * 5000)
@example(b"[redis]\nurl = 2026-11-23\n")
@example(b"crates = 1979-05-27T07:32:00Z\n")
def test_any_bytes_are_settings_or_a_refusal(path: Path, found: bytes) -> None:
    path.write_bytes(found)
    told({}, path)


@QUICK
@given(
    st.dictionaries(
        st.sampled_from(sorted(set(variables()) - {"SMURFQ_CONFIG"})),
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
        | VALUES.map(json.dumps)
        | st.sampled_from(
            [
                "crate1slot2",
                "crate1slot2 crate1slot2",
                "crate0slot1",
                "crate99999999999999999999slot1",
                "1",
                "-1",
                "[]",
                "{}",
            ]
        ),
        max_size=3,
    )
)
def test_any_variables_are_settings_or_a_refusal_that_names_one(environ: dict[str, str]) -> None:
    said = told(environ)
    if said:
        assert "SMURFQ_" in said or "the environment" in said
