"""Runs a site on one machine: Valkey, bridge, workers and Flower, in a terminal or in the background.

``services`` defines the processes of a site and when each is ready. ``child`` is one process, ``watched`` restarts it
when it dies, and ``up`` starts and stops them all in order. ``interrupt`` handles signals, ``orphans`` ends orphans.
``journal`` stores the running processes on disk, and ``detached`` starts and ends a site in the background. ``valkey``
runs the embedded Valkey, ``flower`` runs Flower, ``demo`` is the demonstration, and ``doctor`` diagnoses a site.
"""
