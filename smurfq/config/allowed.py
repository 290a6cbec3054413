"""Describes in words which values a key of the settings allows, derived from the key's type."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]


def allowed(model: type[BaseModel], key: str) -> str:
    """Return a description of the values that ``key`` of ``model`` allows, such as "a whole number from 1 to 65535"."""
    schema = model.model_json_schema()
    return _words(schema["properties"][key], schema.get("$defs", {}))


def _words(schema: Schema, definitions: Schema) -> str:
    if "$ref" in schema:
        return _words(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return _words(next(one for one in schema["anyOf"] if one.get("type") != "null"), definitions)
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    match schema.get("type"):
        case "boolean":
            return "true or false"
        case "integer":
            return "a whole number" + _bounds(schema)
        case "number":
            return "a number" + _bounds(schema)
        case "array":
            size = f" of at least {schema['minItems']}" if "minItems" in schema else ""
            return f"a list{size}, each item {_words(schema['items'], definitions)}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"a table, each value {_words(schema['additionalProperties'], definitions)}"
        case "object":
            return "a table"
        case "string" if schema.get("format") == "path":
            return "a path"
        case "string" if schema.get("pattern") == "^[^:]*$":
            return "text without a colon"
        case _:
            return "text"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}"
    if low is not None:
        return f" of at least {low:g}"
    if (above := schema.get("exclusiveMinimum")) is not None:
        return f" above {above:g}"
    return ""
