"""Loads the Lua scripts of ``store/lua`` and gives their keys and arguments names.

The leading comments of a script declare its signature: ``-- keys: lease, running``, ``-- args: token, header...`` and
``-- uses: wake``, which names the functions that it calls. The loader writes one ``local`` for each name. A name with
three dots becomes a list of all remaining values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_DECLARATION = re.compile(r"^-- (keys|args|uses): (.+)$", re.MULTILINE)
_REST = "..."


@cache
def lua_script(name: str) -> str:
    """Return the text of a script, with the functions that it uses and a local variable for each key and argument."""
    body = _read(name)
    declared = {kind: names.split(", ") for kind, names in _DECLARATION.findall(body)}
    functions = [_read(used) for used in declared.get("uses", ())]
    return "\n".join([*functions, *_locals("KEYS", declared), *_locals("ARGV", declared), body])


def _read(name: str) -> str:
    return files("smurfq.store").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")


def _locals(table: str, declared: dict[str, list[str]]) -> Iterator[str]:
    for number, name in enumerate(declared.get("keys" if table == "KEYS" else "args", ()), start=1):
        if name.endswith(_REST):
            rest = name.removesuffix(_REST)
            yield f"local {rest} = {{}} for i = {number}, #{table} do {rest}[#{rest} + 1] = {table}[i] end"
        else:
            yield f"local {name} = {table}[{number}]"
