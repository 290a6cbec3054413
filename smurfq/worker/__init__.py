"""A slot's worker: how Celery's own parts are bent to the fence.

``request`` makes Celery's terminate and a lost pool child end as an abort does, ``keeper`` renews the lease and
applies holds, ``shutdown`` ends what runs when the worker is stopped. ``smurfq.worker_boot`` starts it all.
"""
