"""Runs in every process that submits or runs tasks: the Celery application of a site, and its configuration."""
