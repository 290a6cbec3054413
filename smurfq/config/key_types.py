"""Defines the types of the keys of the site file, and the base class of its tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from smurfq.core.redis_url import SCHEMES, check_options, is_sentinel, parse_sentinel


def check_redis_url(value: str) -> str:
    if not value.startswith(SCHEMES):
        raise ValueError("a URL that starts with redis://, rediss://, unix:// or sentinel://")
    if is_sentinel(value):
        parse_sentinel(value)
    else:
        check_options(value)
    return value


def check_host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError("of the form host:port, with a port from 1 to 65535")
    return value


def check_version(value: str) -> str:
    if not re.fullmatch(r"\d{1,2}\.\d{1,2}\.\d{1,2}", value, re.ASCII):
        raise ValueError("a version of three numbers, such as 4.1.2")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
PortOrOff = Annotated[int, Field(ge=0, le=65535)]
Folder = Annotated[Path, AfterValidator(Path.expanduser)]


class Section(BaseModel):
    """A table of the site file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )
