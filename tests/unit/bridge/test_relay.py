"""The address of a relay."""

from __future__ import annotations

import pytest

from smurfq.bridge.relay import relay_address
from smurfq.errors import ConfigError


def test_a_relay_address_is_host_and_port() -> None:
    assert relay_address("monitor:8200") == ("monitor", 8200)
    assert relay_address("[::1]:8200") == ("::1", 8200)
    for wrong in ("", "monitor", ":8200", "monitor:", "monitor:x", "monitor:70000"):
        with pytest.raises(ConfigError, match="host:port"):
            relay_address(wrong)
