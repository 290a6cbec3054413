"""Runs in a worker's pool child: claims a task, has a new process run the operation, and writes its record."""
