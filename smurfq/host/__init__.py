"""Runs in several processes of a host: file locks, marks of processes, local files, disk space."""
