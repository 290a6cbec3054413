"""A simulated site for the tests of a module."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.site.simulated import SimSite


@pytest.fixture(scope="module")
def sim_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimSite]:
    """Valkey, bridge and the simulator of three slots; a worker of the first."""
    for package in ("caproto", "so3g", "sodetlib"):
        if importlib.util.find_spec(package) is None:  # found, not imported: it takes seconds
            pytest.skip(f"needs {package}: pip install 'smurfq[slot,sim]'")
    from tests.site.simulated import SLOTS, SimSite

    with SimSite(tmp_path_factory.mktemp("simulated") / "site") as site:
        site.start_worker(SLOTS[0])
        yield site
