"""Making this process a producer of one site after the other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from kombu import pools

from smurfq import config
from smurfq.app import app
from smurfq.celery_app.settings import celery_settings


def bind(environ: Mapping[str, str]) -> None:
    """Make this process a producer of the site that these variables describe."""
    settings = config.load(environ)
    for kind in [kind for kind in type(app).__mro__ if kind.__module__.startswith("smurfq.")]:
        for name in [name for name, value in vars(kind).items() if isinstance(value, cached_property)]:
            app.__dict__.pop(name, None)
    app.__dict__["settings"] = settings
    app.conf.update(celery_settings(settings))
    app.__dict__.pop("amqp", None)
    pools.reset()  # their connections remember what they have declared, in a Redis that may be empty by now
    app.reset_after_fork()
    app._backend_cache = None
    app._local = type(app._local)()
