"""The registers over Channel Access, read with pyepics."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil
import pytest

pytest.importorskip("caproto")
pytest.importorskip("epics")

from smurfq.sim import presence
from smurfq.sim.slot import LINK_BACK_S
from tests.site.eventually import READY_WITHIN_S, eventually
from tests.site.simulator import Simulator

pytestmark = [pytest.mark.slot, pytest.mark.filterwarnings("ignore")]
SLOT = "crate1slot2"
SO = "smurf_server_s2:AMCc:SmurfProcessor:SOStream:"
RTM = "smurf_server_s2:AMCc:FpgaTopLevel:AppTop:AppCore:RtmCryoDet:"
NUMBER = "smurf_server_s2:AMCc:FpgaTopLevel:AmcCarrierCore:AmcCarrierBsi:SlotNumber"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(tmp_path_factory.mktemp("ioc")) as made:
        eventually(made.ready, READY_WITHIN_S, "the simulator serves")
        yield made
        assert made.stop(made.process) == 0
        assert presence.read(made.folder / "sim") is None


@pytest.fixture(autouse=True)
def _no_faults_are_left(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.fault()


def test_texts_are_whole_whatever_their_length_was_before(simulator: Simulator) -> None:
    found = simulator.client(
        f"tag = PV({SO + 'stream_tag'!r})\nresult = []\n"
        "for text in ('a', 'oper,iv', '', 'obs,cmb,a long tag'):\n"
        "    tag.put(text, wait=True)\n    result.append(tag.get(as_string=True, use_monitor=False))\n"
        "result.append(tag.count)"
    )
    assert found == ["a", "oper,iv", "", "obs,cmb,a long tag", 512]


def test_numbers_have_the_types_that_pysmurf_reckons_with(simulator: Simulator) -> None:
    found = simulator.client(
        "base = 'smurf_server_s2:AMCc:FpgaTopLevel:AppTop:AppCore:SysgenCryo:Base[3]:'\n"
        f"stamp = PV({SO + 'pysmurf_action_timestamp'!r})\nstamp.put('1763800000', wait=True)\n"
        "result = [caget(base + 'digitizerFrequencyMHz', as_string=True), type(stamp.get()).__name__, stamp.get(),\n"
        "  len(caget('smurf_server_s2:AMCc:SmurfApplication:EnabledBays')),\n"
        "  len(caget('smurf_server_s2:AMCc:SmurfProcessor:ChannelMapper:Mask'))]"
    )
    frequency, *rest = found
    assert float(frequency) == 614.4
    assert rest == ["int", 1763800000, 2, 4096]


def test_a_read_sees_the_put_before_it_and_subscribers_are_notified(simulator: Simulator) -> None:
    found = simulator.client(
        f"array = PV({RTM + 'RtmSpiMax:TesBiasDacDataRegChArray'!r}, auto_monitor=True)\n"
        f"one = PV({RTM + 'RtmSpiMax:TesBiasDacDataRegCh[7]'!r})\nresult = []\n"
        "array.get(), one.get()\n"
        "for bits in range(50):\n"
        "    one.put(bits)\n    result.append(int(array.get(use_monitor=False)[6]))\n"
        "deadline = time.time() + 60\n"
        "while array.value[6] != 49 and time.time() < deadline:\n    epics.ca.poll(0.01)\n"
        "result.append(int(array.value[6]))"
    )
    assert found == [*range(50), 49]


def test_the_cryocard_answers_a_read_at_once(simulator: Simulator) -> None:
    found = simulator.client(
        f"write, read = PV({RTM + 'SpiCryo:write'!r}), PV({RTM + 'SpiCryo:read'!r})\nresult = []\n"
        "for address in (0, 2, 5, 7) * 5:\n"
        "    write.put((1 << 31 | address << 20) - 2**32)\n"
        "    result.append(read.get(use_monitor=False) >> 20 == address)"
    )
    assert all(found)


def test_a_value_out_of_its_limits_is_rejected(simulator: Simulator) -> None:
    found = simulator.client(
        f"dac = PV({RTM + 'RtmSpiMax:TesBiasDacDataRegCh[9]'!r})\ndac.put(5, wait=True)\n"
        "dac.put(2**20, wait=True, timeout=2)\nresult = [dac.get(use_monitor=False)]"
    )
    assert found == [5]


def test_one_dead_register_leaves_the_others_alone(simulator: Simulator) -> None:
    simulator.fault(dead_registers=["AggTime"])
    found = simulator.client(
        f"result = [caget({SO + 'AggTime'!r}, timeout=1, use_monitor=False), caget({SO + 'EnableCompression'!r})]"
    )
    assert found == [None, 1]


def test_a_silent_server_is_not_even_found(simulator: Simulator) -> None:
    simulator.fault(silent=True)
    assert simulator.client(f"result = PV({NUMBER!r}).wait_for_connection(timeout=1.5)") is False


def test_requests_to_a_locked_up_card_are_answered_when_its_link_is_back(simulator: Simulator) -> None:
    simulator.fault(locked_up=True)
    found = simulator.client(
        f"number = PV({NUMBER!r}, auto_monitor=False)\n"
        "result = [number.get(timeout=1, use_monitor=False)]\n"
        "asked = time.monotonic()\n"
        "caput('smurf_server_s2:AMCc:RestartRssi', 1, wait=True)\n"
        "soon = number.get(timeout=0.2, use_monitor=False)\n"
        f"early = time.monotonic() - asked < {LINK_BACK_S}\n"
        "result += [soon if early else None, number.get(timeout=60, use_monitor=False)]"
    )
    assert found == [None, None, 2]


@pytest.mark.may_skip("only root may raise a priority")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority")
def test_the_simulator_takes_precedence_over_other_processes(simulator: Simulator) -> None:
    server = psutil.Process(simulator.process.pid)
    recorders = eventually(server.children, READY_WITHIN_S, "a recorder")
    assert max(int(process.nice()) for process in (server, *recorders)) < os.getpriority(os.PRIO_PROCESS, 0)
