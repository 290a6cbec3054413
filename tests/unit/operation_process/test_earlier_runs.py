"""An operation that goes by an earlier one's result says so before it begins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from smurfq.errors import OperationFailedError
from smurfq.operation_process.earlier_runs import check_earlier

SLOT = "crate1slot2"


def config(**experiment: Any) -> Any:
    return SimpleNamespace(dev=SimpleNamespace(exp=experiment))


def test_an_existing_result_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "map.npy").touch()
    check_earlier("take_iv", SLOT, config(bgmap_file=str(tmp_path / "map.npy")), "take_bgmap")


@pytest.mark.parametrize(
    ("experiment", "needed", "said"),
    [
        ({"bgmap_file": None}, "take_bgmap", "the last bias group map of crate1slot2, and it has none; run take_bgmap"),
        ({}, "take_iv", "the last IV of crate1slot2, and it has none; run take_iv first"),
        ({"iv_file": "/no/such.npy"}, "take_iv", "its IV file /no/such.npy is gone; run take_iv first"),
    ],
)
def test_a_missing_result_file_is_reported_with_the_operation_to_run(
    experiment: dict[str, Any], needed: str, said: str
) -> None:
    with pytest.raises(OperationFailedError, match=said) as raised:
        check_earlier("an_operation", SLOT, config(**experiment), needed)
    assert raised.value.fields["needs"] == needed
