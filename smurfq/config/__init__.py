"""The settings: one frozen object from a TOML site file and ``SMURFQ_*`` variables.

``sections`` says what may be set, ``loading`` reads it, ``allowed`` puts the types into words and
``reference`` lists all. Nothing here reads the process's own environment; the rim does, and hands it over.
"""

from smurfq.config.loading import FILE_VARIABLE, PREFIX, load, names_no_site, variables
from smurfq.config.sections import Settings

__all__ = ["FILE_VARIABLE", "PREFIX", "Settings", "load", "names_no_site", "variables"]
