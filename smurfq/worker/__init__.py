"""Runs in a worker's main process: consumes the slot's queues, starts the pool children, and renews the lease."""
