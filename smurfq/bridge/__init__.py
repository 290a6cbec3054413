"""The parts of the bridge process, which writes datagrams to session records. ``smurfq.udp_bridge`` starts it.

``receiver`` takes datagrams from the socket (``mmsg``) and puts them into the ``buffer``. ``applier`` takes them out,
parses them and gives them in batches to the ``recorder``, which asks ``known_runs`` what runs, has ``attribution``
assign each message to a run, and lets ``writer`` write the result. ``drops`` and ``steps`` count what was dropped or
belongs to no run, and ``drain_answers`` tells workers whether a record is complete.

``coalescing`` decides how long to collect messages, ``snapshots`` how often Celery's metadata is updated. ``relay``
forwards datagrams, ``periodic`` runs other work at intervals, ``health`` and ``metrics`` report how the bridge is
doing, ``complaints`` limits the log, and ``redis_retry`` waits while Redis is away.
"""
