"""The names that the loader gives to a Lua script's keys and arguments."""

from __future__ import annotations

from importlib.resources import files

import pytest

from smurfq.store.lua_scripts import lua_script

NAMES = sorted(
    each.name.removesuffix(".lua") for each in files("smurfq.store").joinpath("lua").iterdir() if each.is_file()
)
FUNCTIONS = {"enter", "final_state", "json_string", "wake"}


def test_each_key_and_argument_has_a_local_variable() -> None:
    text = lua_script("renew_lease")
    assert "local lease = KEYS[1]\nlocal token = ARGV[1]\nlocal ttl_ms = ARGV[2]\n" in text


def test_a_name_with_dots_holds_the_rest() -> None:
    text = lua_script("renew_description")
    assert "local changed = {} for i = 3, #ARGV do changed[#changed + 1] = ARGV[i] end" in text


def test_functions_come_before_the_script_that_uses_them() -> None:
    text = lua_script("claim")
    assert text.index("function json_string") < text.index("function final_state") < text.index("local meta = KEYS[1]")


@pytest.mark.parametrize("name", sorted(set(NAMES) - FUNCTIONS))
def test_no_script_numbers_its_keys_or_arguments(name: str) -> None:
    body = files("smurfq.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    assert "KEYS" not in body
    assert "ARGV" not in body
