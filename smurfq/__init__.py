"""smurfq: a Celery task queue in front of every SMuRF readout slot."""

__version__ = "0.1.0"
