"""The simulated slot: real Channel Access on loopback, real g3 files, no hardware.

Nothing of smurfq but its command line and its site imports it.
"""
