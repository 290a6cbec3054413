"""The environment of an operation: set where absent, kept where present, the slot's own always."""

from __future__ import annotations

from smurfq.config import Settings
from smurfq.operation_process.environment import environment, publisher_warning

SLOT = "crate1slot2"
SETTINGS = Settings(smurf={"config_dir": "/cfg"}, bridge={"port": 9000})  # type: ignore[arg-type]


def test_missing_variables_are_set_from_the_settings() -> None:
    assert environment(SETTINGS, SLOT, "control", {}) == {
        "SLOT": "2",
        "SMURFPUB_ID": "crate1slot2",
        "SMURFPUB_BACKEND": "udp",
        "SMURFPUB_UDP_HOST": "127.0.0.1",
        "SMURFPUB_UDP_PORT": "9000",
        "EPICS_CA_ADDR_LIST": "127.255.255.255",
        "EPICS_CA_MAX_ARRAY_BYTES": "80000000",
        "OCS_CONFIG_DIR": "/cfg",
        "SMURF_CONFIG_DIR": "/cfg",
        "MPLBACKEND": "Agg",
    }


def test_existing_variables_keep_their_values() -> None:
    present = {
        "SMURFPUB_BACKEND": "null",
        "SMURFPUB_UDP_HOST": "monitor",
        "SMURFPUB_UDP_PORT": "8201",
        "EPICS_CA_ADDR_LIST": "10.0.0.1",
        "EPICS_CA_MAX_ARRAY_BYTES": "1",
        "OCS_CONFIG_DIR": "/config",
        "SMURF_CONFIG_DIR": "/smurf",
        "MPLBACKEND": "svg",
    }
    assert environment(SETTINGS, SLOT, "control", present).keys() == {"SLOT", "SMURFPUB_ID"}


def test_one_folder_of_the_configuration_does_not_overrule_the_other() -> None:
    """The document's container has OCS_CONFIG_DIR only, and sodetlib would prefer SMURF_CONFIG_DIR."""
    set_now = environment(SETTINGS, SLOT, "control", {"OCS_CONFIG_DIR": "/config"})
    assert set_now["SMURF_CONFIG_DIR"] == "/config"
    assert "OCS_CONFIG_DIR" not in set_now


def test_the_slot_and_publisher_are_the_operations_own_whatever_was_inherited() -> None:
    inherited = {"SLOT": "7", "SMURFPUB_ID": "crate9slot7"}
    for lane, publisher in (
        ("control", "crate1slot2"),
        ("emergency", "crate1slot2"),
        ("state", "crate1slot2.state"),
    ):
        set_now = environment(SETTINGS, SLOT, lane, inherited)  # type: ignore[arg-type]
        assert (set_now["SLOT"], set_now["SMURFPUB_ID"]) == ("2", publisher)


def test_a_bridge_on_all_addresses_is_reached_on_loopback() -> None:
    everywhere = Settings(bridge={"host": "0.0.0.0"})  # type: ignore[arg-type]
    assert environment(everywhere, SLOT, "control", {})["SMURFPUB_UDP_HOST"] == "127.0.0.1"


def test_a_publisher_that_discards_is_warned_of() -> None:
    assert publisher_warning({"SMURFPUB_BACKEND": "udp"}) is None
    assert "DISCARDS" in str(publisher_warning({"SMURFPUB_BACKEND": "null"}))
    assert "'null'" in str(publisher_warning({}))
