"""The simulated slot: real Channel Access on loopback, real g3 files, no hardware.

Only the command line and the site import this package.
"""
