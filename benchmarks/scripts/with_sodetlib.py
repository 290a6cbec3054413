"""Does nothing but import what every control script imports."""

import sodetlib  # noqa: F401
