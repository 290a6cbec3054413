"""The folders in which the embedded Valkey can keep its files."""

from __future__ import annotations

import pytest

from smurfq.config import load
from smurfq.errors import StartError
from smurfq.site.valkey import require_data_dir


@pytest.mark.parametrize("folder", ["/var/lib/smurfq", "/home/cryo/state-1_2.d"])
def test_a_plain_folder_will_do(folder: str) -> None:
    require_data_dir(load({"SMURFQ_SLOTS": "crate1slot2", "SMURFQ_STATE_DIR": folder}))


@pytest.mark.parametrize("folder", ["/tmp/with space", "/tmp/it's", '/tmp/"so"', "/tmp/back\\slash"])
def test_a_folder_that_valkey_cannot_use_is_reported_before_the_start(folder: str) -> None:
    with pytest.raises(StartError, match="SMURFQ_STATE_DIR"):
        require_data_dir(load({"SMURFQ_SLOTS": "crate1slot2", "SMURFQ_STATE_DIR": folder}))
