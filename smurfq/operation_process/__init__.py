"""Runs in an operation's own process: takes its job, runs the operation's function, and reports to the pool child."""
