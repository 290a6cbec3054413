"""Values and functions that need no Redis, Celery, numpy or EPICS."""
