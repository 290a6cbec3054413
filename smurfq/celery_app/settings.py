"""Configures Celery for a site: at most one execution, one task at a time, and survival of a Redis restart.

``docs/decisions/0002-fence.md`` gives the reason for each setting; most were found by experiment.
"""

from __future__ import annotations

import ssl
from typing import Any

from kombu import Exchange, Queue
from kombu.transport.redis import SentinelChannel

from smurfq.config import Settings
from smurfq.core.redis_url import (
    is_sentinel,
    is_tls,
    is_unix,
    parse_sentinel,
    tls_files,
    unix_for_kombu,
    without_tls_files,
)
from smurfq.core.slot import LANES, WORKFLOWS, queue_name
from smurfq.store.connection import CONNECT_TIMEOUT_S, SOCKET_TIMEOUT_S, sentinel_options
from smurfq.store.primary import PrimaryConnection
from smurfq.store.queues import PRIORITY_STEPS
from smurfq.store.redis_errors import REFUSES, name_refusals

_RESULTS_OF_PRIMARY = "smurfq.store.sentinel_results:PrimaryBackend+"
_EXCHANGE = Exchange("smurfq", type="direct")


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Return the configuration of the Celery application."""
    name_refusals()
    SentinelChannel.connection_class = PrimaryConnection  # kombu has no setting for it
    return {
        **_transport(settings),
        **_at_most_once(),
        **_results(settings),
        **_worker(),
        "task_queues": queues(settings),
        "task_create_missing_queues": False,  # a typo in a slot's name must not create a queue
        "task_default_queue": "smurfq.nowhere",
        "accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "imports": ["smurfq.tasks"],
    }


def queues(settings: Settings) -> list[Queue]:
    """Return the queues of all slots (emergency, control and state lanes) and the queue of workflows."""
    names = [queue_name(slot, lane) for slot in settings.slots for lane in LANES]
    return [Queue(name, exchange=_EXCHANGE, routing_key=name) for name in (*names, WORKFLOWS)]


def _url(settings: Settings) -> str:
    """Return the URL of Redis in Celery's and kombu's form."""
    url = settings.redis_url
    if is_sentinel(url):
        return parse_sentinel(url).for_kombu()
    return unix_for_kombu(url) if is_unix(url) else without_tls_files(url)


def _tls(settings: Settings) -> dict[str, Any] | None:
    """Return the TLS options for Celery, kombu and Flower, which otherwise do not verify the certificate."""
    url = settings.redis_url
    if not is_tls(url):
        return None
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **tls_files(url)}


def _sentinels(settings: Settings) -> dict[str, Any]:
    """Return the options for Celery and kombu about the sentinels, other than their addresses."""
    if not is_sentinel(settings.redis_url):
        return {}
    address = parse_sentinel(settings.redis_url)
    return {"master_name": address.master_name, "sentinel_kwargs": sentinel_options(address)}


def _transport(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": _url(settings),
        "broker_use_ssl": _tls(settings) or False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # 100 by default; then the worker would exit
        "broker_channel_error_retry": True,  # otherwise the worker exits if Redis temporarily rejects writes
        "broker_transport_options": {
            "visibility_timeout": 60,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "priority_steps": list(PRIORITY_STEPS),
            "queue_order_strategy": "priority",  # the emergency queue comes first in the list, and is served first
            "socket_keepalive": True,
            "socket_timeout": SOCKET_TIMEOUT_S,  # a host that vanished must not block a publisher
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "health_check_interval": 25,
            "max_connections": 20,
            **_sentinels(settings),
        },
    }


def _at_most_once() -> dict[str, Any]:
    return {
        "task_acks_late": False,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_concurrency": 1,
        "task_reject_on_worker_lost": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_enable_prefetch_count_reduction": False,
        "task_publish_retry": True,
        "task_publish_retry_policy": {"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1},
        "task_track_started": False,  # the claim writes STARTED; Celery's write could overwrite a final state
        "task_ignore_result": False,
        "task_store_errors_even_if_ignored": True,
    }


def _results(settings: Settings) -> dict[str, Any]:
    return {
        "result_backend": _RESULTS_OF_PRIMARY + _url(settings) if is_sentinel(settings.redis_url) else _url(settings),
        "redis_backend_use_ssl": _tls(settings),
        "result_expires": int(settings.redis.result_expires_s),
        "result_extended": True,
        "result_backend_always_retry": True,  # otherwise a result is lost if Redis restarts at that moment
        "result_backend_max_sleep_between_retries_ms": 1000,
        "result_backend_transport_options": {
            "retry_policy": {"max_retries": None, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 1},
            "additional_connection_errors": REFUSES,  # a result waits until Redis accepts it
            **_sentinels(settings),
        },
        "result_chord_join_timeout": 30.0,
        "redis_socket_keepalive": not is_unix(settings.redis_url),
        "redis_socket_timeout": SOCKET_TIMEOUT_S,
        "redis_socket_connect_timeout": CONNECT_TIMEOUT_S,
        "redis_backend_health_check_interval": 25,
    }


def _worker() -> dict[str, Any]:
    return {
        "worker_pool": "prefork",
        "worker_consumer": "smurfq.worker.consumer:SlotConsumer",
        "worker_max_tasks_per_child": None,  # operations have their own processes; 1 costs up to 5 s for each task
        "worker_proc_alive_timeout": 30,
        "worker_soft_shutdown_timeout": 0.0,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_enable_remote_control": True,
    }
