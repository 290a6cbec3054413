"""Celery's result backend for sentinels, whose connections follow a failover to the new primary."""

from __future__ import annotations

from smurfq.private_api.sentinel_backend import SentinelBackendOn
from smurfq.store.primary import PrimaryConnection


class PrimaryBackend(SentinelBackendOn):
    """The result backend of a site with sentinels; ``celery_settings`` names it in ``result_backend``."""

    pool_connection_class = PrimaryConnection
