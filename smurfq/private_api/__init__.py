"""The private parts of Celery, kombu and CPython that smurfq uses; no other module touches one.

Each has a public name here, and its docstring says why the public interface is not enough. All were read in Celery
5.7.0, kombu 5.7.0, billiard 4.3.2 and CPython 3.11. ``tests/unit/private_api`` fails when a new version changes one;
CONTRIBUTING.md says how to allow newer versions. Nothing here knows of slots, runs or records.
"""
