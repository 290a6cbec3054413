"""A device configuration that is half-written on the simulated slot: what runs beside it, and what is restored."""

from __future__ import annotations

import pytest

from smurfq.core.session import SessionRecord
from tests.site.eventually import eventually
from tests.site.simulated import LONG_S, SLOTS, SimSite

pytestmark = [pytest.mark.slot, pytest.mark.slow, pytest.mark.timeout(900)]

SLOT = SLOTS[0]
WRITES_HALF = f"""
import yaml
from sodetlib.det_config import DetConfig

config = DetConfig()
config.load_config_files(slot={SLOT[-1]})
dump = yaml.dump

def dump_half(data, file):
    text = dump(data)
    file.write(text[: len(text) // 2])
    file.flush()
    print("half written")
    while True:
        pass

yaml.dump = dump_half
config.dev.update_experiment({{"nphi0": 6}}, update_file=True)
"""


def test_a_killed_writer_leaves_the_file_whole_and_check_state_reads_beside_it(sim_site: SimSite) -> None:
    device = sim_site.options.folders.config / f"device_{SLOT}.yml"
    whole = device.read_text()
    run = sim_site.slot(SLOT).submit("run", script=sim_site.script("half.py", WRITES_HALF))
    eventually(lambda: "half written" in run.record().log, LONG_S)
    assert len(device.read_text()) not in (0, len(whole))
    state = sim_site.succeeded("check_state", SLOT, once=True)
    assert state.data["stream_id"]
    run.abort("tester", "enough", grace_s=0)
    record = run.wait(LONG_S)
    restored = f"the device configuration {device} was left half-written; its copy from before the run was restored"
    assert restored in messages(record)
    assert device.read_text() == whole
    sim_site.succeeded("set_biases", SLOT, bias=0.0)


def messages(record: SessionRecord) -> str:
    """The messages of a record."""
    return "\n".join(text for _, text in record.messages)
