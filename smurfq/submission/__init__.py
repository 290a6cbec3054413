"""Runs in the process that submits: checks a request, and prepares its message."""
