"""The settings: valid values are accepted, and errors say what is wrong."""

from __future__ import annotations

import re
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from smurfq.config import Settings, load, variables
from smurfq.config.loading import sections
from smurfq.config.reference import Row, rows
from smurfq.core.redis_url import tls_files
from smurfq.errors import ConfigError, UnknownSlotError
from tests.tls_proxy import Certificates

EXAMPLE = Path(__file__).parents[3] / "examples" / "site.toml"
VALUES = {  # by what a key allows, a text and the value it stands for
    "a path": ("/somewhere", Path("/somewhere")),
    '"udp" or "null"': ("null", "null"),
    '"refuse" or "queue-finite" or "queue"': ("queue", "queue"),
    "true or false": ("true", True),
    "text": ("anything", "anything"),
    "text without a colon": ("someone", "someone"),
    "a list, each item a path": ("/a:/b", (Path("/a"), Path("/b"))),
    "a table, each value a number above 0": ('{"take_iv": 9}', {"take_iv": 9.0}),
    "a table, each value text": ('{"ufm-mv9": "crate1slot2"}', {"ufm-mv9": "crate1slot2"}),
}
TEXTS = {
    "SMURFQ_REDIS_URL": "rediss://:secret@far:6379/1",
    "SMURFQ_BRIDGE_RELAY": "localhost:8201",
    "SMURFQ_SIM_CRYOCARD_FIRMWARE": "1.2.3",
}
TLS_FILES = ("redis.ca_file", "redis.cert_file", "redis.key_file")  # must exist, and want a rediss:// URL


WriteSite = Callable[[str], Path]


@pytest.fixture
def site(tmp_path: Path) -> WriteSite:
    def write(text: str) -> Path:
        path = tmp_path / "site.toml"
        path.write_text(text)
        return path

    return write


def refusal(environ: dict[str, str], path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(environ, path)
    return str(caught.value)


def test_nothing_set_gives_one_slot_on_this_machine() -> None:
    settings = load({})
    assert settings == Settings()
    assert settings.slots == ("crate1slot2",)
    assert settings.redis_url == "redis://127.0.0.1:6385/0"


@pytest.mark.parametrize("row", [row for row in rows() if row.key not in TLS_FILES], ids=lambda row: row.variable)
def test_every_variable_sets_its_key(row: Row) -> None:
    expected: object
    if row.variable in TEXTS:
        text = expected = TEXTS[row.variable]
    elif row.key != "limits.operations" and "number" in row.allowed and row.allowed.startswith("a "):
        text = "77777" if row.key.endswith("_bytes") else "7777"
        expected = int(text)
    else:
        text, expected = VALUES[row.allowed]
    value: object = load({row.variable: text})
    for part in row.key.split("."):
        value = getattr(value, part)
    assert value == expected


def test_a_variable_wins_over_the_file_and_leaves_the_rest(site: WriteSite) -> None:
    path = site("[bridge]\nport = 8201\nbuffer_messages = 2000\n")
    settings = load({"SMURFQ_BRIDGE_PORT": "8300", "SMURFQ_CONFIG": "/not/read"}, path)
    assert (settings.bridge.port, settings.bridge.buffer_messages) == (8300, 2000)


def test_the_variable_names_the_file(site: WriteSite) -> None:
    path = site("[[crates]]\nid = 3\nslots = [4, 5]\n")
    assert load({"SMURFQ_CONFIG": str(path)}).slots == ("crate3slot4", "crate3slot5")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(dict.fromkeys(variables(), "")) == Settings()


def test_other_programs_variables_are_left_alone() -> None:
    assert load({"SMURF_CONFIG_DIR": "/config", "PATH": "/bin", "smurfq_x": "1"}) == Settings()


def test_slots_by_variable() -> None:
    environ = {"SMURFQ_SLOTS": "crate2slot7, crate1slot2 crate2slot1"}
    assert load(environ).slots == ("crate2slot7", "crate2slot1", "crate1slot2")


def test_home_is_expanded() -> None:
    assert load({"SMURFQ_SCRIPTS_FOLDERS": "~/scripts:/b"}).scripts.folders == (
        Path.home() / "scripts",
        Path("/b"),
    )


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("SMURFQ_BRIDGE_PORT", "abc", "SMURFQ_BRIDGE_PORT must be a whole number from 1 to 65535; got 'abc'"),
        ("SMURFQ_BRIDGE_PORT", "65536", "from 1 to 65535; got '65536'"),
        ("SMURFQ_WORKER_SPARE", "perhaps", "SMURFQ_WORKER_SPARE must be true or false; got 'perhaps'"),
        ("SMURFQ_LIMITS_KILL_GRACE_S", "-1", "must be a number of at least 0; got '-1'"),
        ("SMURFQ_LIMITS_KILL_GRACE_S", "nan", "must be a number of at least 0; got 'nan'"),
        ("SMURFQ_LIMITS_OPERATION_S", "inf", "must be a number above 0; got 'inf'"),
        ("SMURFQ_PUBLISHER_BACKEND", "tcp", '"udp" or "null"; got \'tcp\''),
        ("SMURFQ_LIMITS_OPERATIONS", "{", "must be a JSON object, as in '{\"take_iv\": 900}'"),
        ("SMURFQ_LIMITS_OPERATIONS", "[1]", "must be a table, each value a number above 0"),
        ("SMURFQ_LIMITS_OPERATIONS", '{"take_iv": 0}', "take_iv in SMURFQ_LIMITS_OPERATIONS must be"),
        (
            "SMURFQ_LIMITS_OPERATIONS",
            '{"take_ivs": 9}',
            "limits.operations names 'take_ivs', which is not an operation; did you mean 'take_iv'?",
        ),
        (
            "SMURFQ_OCS_INSTANCES",
            '{"ufm-mv9": "crate1slot3"}',
            "ocs.instances.ufm-mv9 is 'crate1slot3', which is not a slot of the site; did you mean 'crate1slot2'?",
        ),
        (
            "SMURFQ_SLOTS",
            "crate1slot2 slot3",
            "SMURFQ_SLOTS: a slot id looks like 'crate1slot2'; got 'slot3'",
        ),
        ("SMURFQ_SLOTS", "crate1slot9", "a whole number from 1 to 7; got 9"),
        ("SMURFQ_SLOTS", "crate1slot2 crate1slot2", "slot crate1slot2 is listed twice"),
        ("SMURFQ_REDIS_URL", "http://h", "a URL that starts with redis://, rediss://, unix:// or sentinel://"),
        ("SMURFQ_BRIDGE_RELAY", "host", "must be of the form host:port"),
        ("SMURFQ_BRIDGE_RELAY", "127.0.0.1:8200", "the bridge's own address"),
        ("SMURFQ_FLOWER_PORT", "6385", "flower.port and redis.embedded_port are both 6385"),
        ("SMURFQ_BRIDGE_METRICS_PORT", "5555", "are both 5555"),
        ("SMURFQ_FLOWER_USER", "a:b", "must be text without a colon"),
        (
            "SMURFQ_BRIGE_PORT",
            "1",
            "unknown variable SMURFQ_BRIGE_PORT; did you mean 'SMURFQ_BRIDGE_PORT'?",
        ),
        ("SMURFQ_CONFIG", "/no/such.toml", "/no/such.toml: No such file or directory; set SMURFQ_CONFIG"),
        ("SMURFQ_CONFIG", "/tmp", "Is a directory"),
    ],
)
def test_a_variable_is_rejected_by_name(variable: str, text: str, said: str) -> None:
    assert said in refusal({variable: text})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[bridge]\nprot = 1", "unknown key bridge.prot in FILE; did you mean 'bridge.port'?"),
        ("[brige]\nport = 1", "unknown key brige in FILE; did you mean 'bridge'?"),
        ("[[crates]]\nid = 1\nslot = [1]", "unknown key crates.slot in FILE; did you mean"),
        ('name = "chile"', "unknown key name in FILE; did you mean 'site'?"),
        ("zzzzzz = 1", "unknown key zzzzzz in FILE; known are state_dir,"),
        ('[bridge]\nport = "8200"', "bridge.port in FILE must be a whole number from 1 to 65535; got '8200'"),
        ("[bridge]\nport = true", "bridge.port in FILE must be a whole number from 1 to 65535; got True"),
        ("[bridge]\nport = 1.5", "got 1.5"),
        ("[worker]\nspare = 1", "worker.spare in FILE must be true or false; got 1"),
        (
            "[limits]\nabort_grace_s = inf",
            "limits.abort_grace_s in FILE must be a number of at least 0; got inf",
        ),
        (
            "[limits.operations]\ntake_iv = 0",
            "limits.operations.take_iv in FILE must be a number above 0; got 0",
        ),
        ("bridge = 5", "bridge in FILE must be a table; got 5"),
        ("crates = 5", "crates in FILE must be a list, each item a table; got 5"),
        ("[[crates]]\nid = 1", "crates.0 in FILE lacks slots: a list of at least 1"),
        ("[[crates]]\nid = 1\nslots = []", "crates.0.slots in FILE must be a list of at least 1"),
        (
            "[[crates]]\nid = 1\nslots = [2, 8]",
            "crates.0.slots.1 in FILE must be a whole number from 1 to 7; got 8",
        ),
        (
            "[[crates]]\nid = 1\nslots = [2]\n[[crates]]\nid = 1\nslots = [2]",
            "slot crate1slot2 is listed twice in FILE",
        ),
        ('[scripts]\nfolders = "/a"', "scripts.folders in FILE must be a list, each item a path; got '/a'"),
        ("bridge", "the site file FILE is not TOML"),
    ],
)
def test_a_site_file_is_rejected_by_key(site: WriteSite, text: str, said: str) -> None:
    path = site(text)
    assert said.replace("FILE", str(path)) in refusal({}, path)


def test_a_file_that_is_not_text(site: WriteSite, tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xff\xfe")
    assert "is not TOML" in refusal({}, path)


def test_a_variable_onto_an_ill_typed_section_is_a_plain_refusal(site: WriteSite) -> None:
    assert "bridge in" in refusal({"SMURFQ_BRIDGE_PORT": "8300"}, site("bridge = 5"))


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"SMURFQ_REDIS_URL": "http://:hush@host"}, ""),
        ({}, "[redis]\nurl = ['redis://:hush@host']"),
        ({}, "redis = 'redis://:hush@host'"),
        ({}, "[flower]\npassword = ['hush']"),
        ({}, "flower = 'hush'"),
        ({}, "[flower]\npasword = 'hush'"),
    ],
)
def test_no_refusal_shows_a_secret(site: WriteSite, environ: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environ, site(text))
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_the_settings_own_text_shows_no_secret() -> None:
    settings = load({"SMURFQ_REDIS_URL": "redis://:hush@host/0", "SMURFQ_FLOWER_PASSWORD": "hush"})
    assert (settings.redis_url, settings.flower.password) == ("redis://:hush@host/0", "hush")
    assert "hush" not in repr(settings) + str(settings)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().bridge.port = 1


def test_the_example_loads_and_has_two_crates_of_seven_slots() -> None:
    settings = load({}, EXAMPLE)
    assert settings.slots == tuple(f"crate{crate}slot{slot}" for crate in (1, 2) for slot in range(1, 8))
    assert settings == Settings(crates=settings.crates)


def test_the_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=\w+ = )", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    shown = tomllib.loads(text)
    inner = dict(sections())
    assert shown.keys() == set(Settings.model_fields)
    for section, model in inner.items():
        assert shown[section].keys() == set(model.model_fields), section
    without_default = re.sub(r"^.*# none by default$", "", text, flags=re.MULTILINE)
    path = tmp_path / "shown.toml"
    path.write_text(without_default)
    settings = load({}, path)
    assert settings == Settings(crates=settings.crates)


def test_the_example_tells_every_meaning() -> None:
    text = EXAMPLE.read_text()
    for row in rows():
        assert f"# {row.meaning}\n#{row.key.rpartition('.')[2]} = " in text, row.key


def test_every_setting_has_a_variable_and_a_meaning() -> None:
    keys = {row.key for row in rows()}
    inner = dict(sections())
    expected = {f"{name}.{key}" for name, model in inner.items() for key in model.model_fields}
    assert keys == expected | (set(Settings.model_fields) - set(inner) - {"crates"})
    assert all(row.meaning and row.allowed and row.default for row in rows())
    assert len(set(variables())) == len(keys) + 2


def test_an_unknown_slot_is_rejected_with_the_nearest() -> None:
    settings = load({"SMURFQ_SLOTS": "crate1slot2 crate1slot3"})
    assert settings.check_slot("crate1slot3") == "crate1slot3"
    with pytest.raises(UnknownSlotError, match="did you mean 'crate1slot2'") as caught:
        settings.check_slot("crate1slot22")
    assert caught.value.known == ["crate1slot2", "crate1slot3"]


def test_time_limits_by_operation() -> None:
    settings = load({"SMURFQ_LIMITS_OPERATIONS": '{"take_iv": 9}'})
    assert settings.time_limit_s("take_iv", 100.0) == 9.0
    assert settings.time_limit_s("stream", None) is None


def test_the_certificate_files_are_part_of_the_url(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "ca")
    certificate, key = certificates.issue("smurf-srv1")
    files = {
        "SMURFQ_REDIS_CA_FILE": str(certificates.ca_file),
        "SMURFQ_REDIS_CERT_FILE": str(certificate),
        "SMURFQ_REDIS_KEY_FILE": str(key),
    }
    settings = load({"SMURFQ_REDIS_URL": "rediss://:hush@host/0", **files})
    assert tls_files(settings.redis_url) == {
        "ssl_ca_certs": str(certificates.ca_file),
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(key),
    }


@pytest.mark.parametrize(
    ("url", "files", "said"),
    [
        (
            "redis://host/0",
            {"CA": "ca.pem"},
            "redis.url does not start with rediss://: the connection would not be encrypted",
        ),
        ("sentinel://host?master_name=m", {"CA": "ca.pem"}, "TLS with sentinels is not supported"),
        ("rediss://host/0", {"CA": "absent.pem"}, "redis.ca_file"),
        ("rediss://host/0", {"CA": "empty.pem"}, "it must be a readable PEM file"),
        ("rediss://host/0", {"CERT": "ca.pem"}, "redis.cert_file and redis.key_file belong together"),
        ("rediss://host/0", {"CERT": "ca.pem", "KEY": "empty.pem"}, "redis.key_file"),
    ],
)
def test_files_of_tls_that_cannot_be_used_are_rejected(
    tmp_path: Path, url: str, files: dict[str, str], said: str
) -> None:
    Certificates(tmp_path / "ca").ca_file.rename(tmp_path / "ca.pem")
    (tmp_path / "empty.pem").touch()
    variables = {f"SMURFQ_REDIS_{name}_FILE": str(tmp_path / file) for name, file in files.items()}
    assert said in refusal({"SMURFQ_REDIS_URL": url, **variables})
