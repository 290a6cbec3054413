"""The stream ids of the slots, as their workers reported them to Redis."""

from __future__ import annotations

from collections.abc import Mapping

from redis.client import Pipeline

from smurfq.core import keys
from smurfq.errors import ConfigError
from smurfq.store.connection import Client
from smurfq.store.lua_scripts import lua_script


class StreamIds:
    """The reported stream ids by place. A report stays after its worker has ended."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self) -> Mapping[str, str]:
        """Return the reported stream ids by place. Slots that are no longer part of the site may be among them."""
        found: Mapping[str, str] = self._client.hgetall(keys.STREAM_IDS)  # type: ignore[assignment]
        return found

    def report(self, slot: str, stream_id: str) -> None:
        """Report the stream id of a slot, before its worker starts. The reports of dead workers give way to it.

        Raises
        ------
        ConfigError
            A living worker of another slot has reported the same stream id.
        """
        script = lua_script("report_stream_id")
        other = self._client.eval(script, 1, keys.STREAM_IDS, slot, stream_id, keys.worker(""))
        if other:
            raise ConfigError(
                f"the worker of {other} has the same stream id {stream_id!r} as {slot}; correct sys_config.yml, or "
                "stream_ids of the site file, on the server of either, and restart its worker",
                key="crates",
            )


def queue_report(pipe: Pipeline, slot: str, stream_id: str) -> None:
    """Add the command that reports a stream id again, in case Redis has lost its data, to a pipeline."""
    pipe.hset(keys.STREAM_IDS, slot, stream_id)
