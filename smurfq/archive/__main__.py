"""Runs the registrar: ``python -m smurfq.archive``."""

import sys

from smurfq.archive.process import main

sys.exit(main())
