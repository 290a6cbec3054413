"""Checks a submission and prepares its messages. Runs in the producer."""
