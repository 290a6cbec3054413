"""A worker's report of its configuration shows no passwords."""

from __future__ import annotations

from smurfq.worker.remote_control import hide_secrets


def test_passwords_are_hidden_wherever_they_stand() -> None:
    told = {
        "broker_url": "redis://ann:hunter2@h:6379/0",
        "task_serializer": "json",
        "broker_transport_options": {
            "master_name": "smurf",
            "sentinel_kwargs": {"password": "hunter2", "socket_timeout": 1.0},
            "hosts": ["sentinel://:hunter2@h:1", ("redis://:hunter2@h:2",)],
        },
        "redis_password": "hunter2",
        "security_key_password": b"",
        "result_expires": 3600,
    }
    hidden = hide_secrets(told)
    assert "hunter2" not in repr(hidden)
    assert hidden["broker_url"] == "redis://ann:***@h:6379/0"
    assert hidden["broker_transport_options"]["sentinel_kwargs"]["socket_timeout"] == 1.0
    assert (hidden["task_serializer"], hidden["result_expires"]) == ("json", 3600)
