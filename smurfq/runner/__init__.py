"""Running operations: each in a fresh process, watched from the worker's pool child.

``process`` is the operation's side (fork, wait for a job, run it), ``session`` what the operation sees as its
session, ``supervisor`` the watching side, ``abort`` the stages by which an operation is ended, ``scribe`` writes
what happens into the record, ``wire`` is what the two sides say to each other.
"""
