"""Sites for tests, benchmarks and the soak: whole ones, parts of one, and what waits for them.

``live`` is a site of which each process is started by itself, ``simulated`` one whose slots the simulator serves,
``folder`` one that is started by ``smurfq up``, ``bridge`` a bridge alone. All of them start and end their processes by
``process_group``.
"""
