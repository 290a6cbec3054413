"""Values and pure functions: no socket, no Redis, no Celery, no clock, no environment."""
