"""Runs a site on one machine: Valkey, bridge, workers and Flower, in a terminal or in the background.

``services`` says what belongs to a site and when each is ready; ``child`` is one process of it, ``watched``
starts it anew when it dies, ``up`` starts and stops them all in order, ``interrupt`` and ``strays`` see to
signals and orphans. ``journal`` is the note on disk of what runs, ``detached`` starts and ends a site in the
background. ``valkey`` keeps the embedded Valkey, ``flower`` starts Flower, ``demo`` shows it all, ``doctor``
finds what is wrong.
"""
