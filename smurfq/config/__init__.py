"""The settings: one frozen object from a TOML site file and ``SMURFQ_*`` variables.

``settings`` and ``sections`` define them, ``loading`` reads them, ``allowed`` describes their types in words and
``reference`` lists them all. Nothing here reads the process's environment: the caller passes it in.
"""

from smurfq.config.loading import FILE_VARIABLE, PREFIX, load, names_no_site, variables
from smurfq.config.settings import Settings

__all__ = ["FILE_VARIABLE", "PREFIX", "Settings", "load", "names_no_site", "variables"]
