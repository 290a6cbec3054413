"""URLs of Redis: sentinels are parsed as by kombu and Celery, and passwords are never shown."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smurfq.core.redis_url import (
    SentinelUrl,
    check_options,
    is_sentinel,
    parse_sentinel,
    tls_files,
    unix_for_kombu,
    with_tls_files,
    without_password,
    without_tls_files,
)


def test_login_database_and_options_may_stand_at_any_part() -> None:
    url = "sentinel://user:pass%3Bword@one;two:26380;sentinel://[::1]:26381/3?master_name=cards&sentinel_password=s"
    address = parse_sentinel(url)
    assert address == SentinelUrl(
        (("one", 26379), ("two", 26380), ("::1", 26381)), "cards", 3, "user", "pass;word", "s"
    )
    assert is_sentinel(url)
    assert address.for_kombu() == ";".join(
        f"sentinel://user:pass%3Bword@{host}/3" for host in ("one:26379", "two:26380", "[::1]:26381")
    )
    assert "pass" not in repr(address)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://one", "master_name="),
        ("sentinel://one?master_name=", "master_name="),
        ("sentinel://one?master_name=m&db=1", "not 'db'"),
        ("sentinel://one:port?master_name=m", "sentinel://host:port"),
        ("sentinel://one;redis://two?master_name=m", "sentinel://host:port"),
        ("sentinel://one/0;two/1?master_name=m", "one login and one database"),
        ("sentinel://:a@one;:b@two?master_name=m", "one login and one database"),
        ("sentinel://one/zero?master_name=m", "not 'zero'"),
    ],
)
def test_errors_describe_the_allowed_form(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        parse_sentinel(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis://:hush@host/0", "redis://:***@host/0"),
        ("rediss://user:hu@sh@host/0", "rediss://user:***@host/0"),
        ("redis://:half/of@it@host/0", "redis://:***@host/0"),
        ("redis://host/0?password=hush&db=1", "redis://host/0?password=***&db=1"),
        (
            "sentinel://:hush@one;sentinel://:hush@two/0?master_name=m&sentinel_password=hush",
            "sentinel://:***@one;sentinel://:***@two/0?master_name=m&sentinel_password=***",
        ),
        ("sentinel://u:hush@one;u:hush@two?master_name=m", "sentinel://u:***@one;u:***@two?master_name=m"),
    ],
)
def test_no_password_is_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


@given(st.text(min_size=1, max_size=20))
def test_any_password_comes_through_quoted_and_is_not_shown(password: str) -> None:
    url = f"sentinel://:{quote(password, safe='')}@one:1;two:2/0?master_name=m"
    address = parse_sentinel(url)
    assert address.password == password
    for part in address.for_kombu().split(";"):
        assert unquote(urlsplit(part).password or "") == password
    assert without_password(url) == "sentinel://:***@one:1;two:2/0?master_name=m"


@pytest.mark.parametrize("url", ["rediss://:secret@host:6380/1", "rediss://host/0?client_name=smurfq"])
def test_the_files_of_tls_come_and_go(url: str) -> None:
    with_files = with_tls_files(url, ca_file="/etc/a ca.pem", cert_file="/c&d.pem", key_file="/k.pem")
    assert tls_files(with_files) == {
        "ssl_ca_certs": "/etc/a ca.pem",
        "ssl_certfile": "/c&d.pem",
        "ssl_keyfile": "/k.pem",
    }
    assert without_tls_files(with_files) == url
    assert without_password(with_files) == url.replace("secret", "***")
    assert with_tls_files(url, ca_file=None, cert_file=None, key_file=None) == url


@pytest.mark.parametrize("option", ["ssl_cert_reqs=none", "ssl_check_hostname=false", "ssl_ca_certs=/ca.pem", "ssl=1"])
def test_verification_cannot_be_turned_off_in_the_url(option: str) -> None:
    for scheme in ("redis", "rediss"):
        with pytest.raises(ValueError, match=r"certificates are always verified .* redis\.ca_file"):
            check_options(f"{scheme}://:secret@host:6380/0?{option}")
    check_options("rediss://:secret@host:6380/0")


@pytest.mark.parametrize(
    ("url", "kombu"),
    [
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://user:p%40ss@/run/redis.sock?db=3", "redis+socket://user:p%40ss@/run/redis.sock?virtual_host=3"),
    ],
)
def test_a_unix_socket_is_spelled_as_kombu_reads_it(url: str, kombu: str) -> None:
    check_options(url)
    assert unix_for_kombu(url) == kombu


@pytest.mark.parametrize("url", ["unix://", "unix://run/redis.sock", "unix:///run/redis.sock?virtual_host=1"])
def test_a_unix_socket_is_a_path_and_a_database(url: str) -> None:
    with pytest.raises(ValueError, match="of the form unix:///path"):
        check_options(url)
