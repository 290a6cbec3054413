"""A short soak test; ``make soak`` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.soak import chosen, soak

FAULTS = [
    "kill -9 an operation",
    "kill -9 a pool child",
    "kill -9 a lane",
    "kill -9 the bridge",
    "kill -9 the registrar",
    "database locked",
    "folder away",
    "SIGTERM to a worker",
    "Redis killed",
    "Redis paused",
    "connections cut",
    "published twice",
    "copied into another",
    "takes no writes",
    "junk in",
    "junk flooding",
]


@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_runs_twice_under_faults(tmp_path: Path) -> None:
    account = soak(
        tmp_path / "site",
        seed=1,
        seconds=0.0,
        simulated=False,
        only=FAULTS,
        faults_at_least=len(FAULTS),
        longest_outage_s=1.5,
        most_pause_s=0.5,
        waiting_per_slot=2,
    )
    assert account.breaches == [], "\n".join(map(str, account.breaches))
    assert {done.name for done in account.faults} == set(chosen(FAULTS))
    assert len(chosen(FAULTS)) == len(FAULTS)
    assert account.counts["ended as SUCCESS, succeeded"] > len(FAULTS)
