"""Writes to Redis in one round trip, if some keys are unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from redis.client import Pipeline

from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_LONGEST_COMMAND = 4000  # words: Lua's stack holds some 8000 values


class Conditional:
    """Runs the commands of a pipeline if some strings in Redis are unchanged."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._if_unchanged = client.register_script(lua_script("run_if_unchanged"))

    def __call__(self, pipe: Pipeline, expected: Mapping[str, str]) -> bool:
        """Run the commands in ``pipe`` if each key has its text in ``expected``; return whether they were run.

        The pipeline is empty afterwards.

        Raises
        ------
        ResponseError
            Redis rejected one of the commands; the others were run.
        """
        commands: list[tuple[Any, ...]] = [arguments for arguments, _ in pipe.command_stack]
        if any(len(command) > _LONGEST_COMMAND for command in commands):
            return self._in_two_steps(pipe, expected)
        words: list[Any] = list(expected.values())
        for command in commands:
            words += (len(command), *command)
        pipe.reset()
        return bool(self._if_unchanged(keys=list(expected), args=words)) if words else True

    def _in_two_steps(self, pipe: Pipeline, expected: Mapping[str, str]) -> bool:
        """Do the same by a read and a transaction. A key may change between the two."""
        found = self._client.mget(list(expected)) if expected else []
        if [text or "" for text in found] != list(expected.values()):
            return False
        pipe.execute()
        return True
