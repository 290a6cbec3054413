"""Runs in several processes of a host, which must agree on it: locks, process marks, local files, disk space."""
