"""The parts of the bridge process, which writes datagrams to session records. ``smurfq.udp_bridge`` starts it.

``receiver`` takes datagrams from the socket into the ``buffer``; ``applier`` parses them, asks ``tasks`` whose they
are and has ``writer`` write what they say, in batches as ``coalescing`` says; ``snapshots`` paces the copies in
Celery's metadata; ``relay`` forwards, ``periodic`` runs what is due every so often, ``health`` shows that the bridge
lives, ``metrics`` answers Prometheus, ``complaints`` keeps the log short, ``patience`` waits for Redis.
"""
