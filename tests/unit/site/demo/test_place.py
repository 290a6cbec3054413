"""The site that the demo creates."""

from __future__ import annotations

from pathlib import Path

from smurfq.config import load
from smurfq.site.demo import place
from smurfq.site.demo.script import script_path


def test_its_site_is_its_own(tmp_path: Path) -> None:
    environ = {
        "PATH": "/bin",
        "SMURFQ_REDIS_URL": "redis://production",
        "SMURFPUB_BACKEND": "null",
        "EPICS_CA_ADDR_LIST": "10.0.1.4",
        "OCS_CONFIG_DIR": "/config",
    }
    found = place.environment(tmp_path / "demo", environ)
    assert found == {"PATH": "/bin", "SMURFQ_CONFIG": str(tmp_path / "demo" / "site.toml")}
    settings = load(found)
    assert settings.redis.url is None
    assert settings.simulated
    assert settings.state_dir == tmp_path / "demo"
    assert settings.slots == (place.SLOT,)
    assert script_path().is_relative_to(settings.scripts.folders[0])
    assert settings.epics.ca_addr_list == f"127.0.0.1:{settings.sim.port}"


def test_its_file_has_the_variables_of_a_simulated_site(tmp_path: Path) -> None:
    from smurfq.sim.surroundings import options_of, site_variables

    environ = place.environment(tmp_path / "demo", {})
    settings = load(environ)
    with_variables = {**environ, **site_variables(options_of(settings, settings.slots))}
    assert load(with_variables) == settings


def test_a_folder_with_quotes_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a "demo"'
    assert load(place.environment(folder, {})).state_dir == folder


def test_a_full_demo_begins_with_a_card_that_was_never_set_up(tmp_path: Path) -> None:
    for cold in (False, True):
        folder = tmp_path / str(cold)
        assert load(place.environment(folder, {}, cold=cold)).sim.cold is cold
