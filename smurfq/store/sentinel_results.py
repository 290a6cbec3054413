"""Celery's result backend with sentinels, on connections that leave an old primary."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import SentinelBackend

from smurfq.store.primary import PrimaryConnection


class PrimaryBackend(SentinelBackend):  # type: ignore[misc]
    """The result backend of a site with sentinels; ``celery_settings`` names it in ``result_backend``."""

    def _get_pool(self, **params: Any) -> Any:
        return super()._get_pool(**{**params, "connection_class": PrimaryConnection})
