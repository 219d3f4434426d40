"""Our sentence for each kind of error that pydantic finds."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from lbg.config.problems import KeyPath, kind, shown
from lbg.config.schema import Config

_EXPECTED = {
    "model_type": "a table",
    "dict_type": "a table",
    "tuple_type": "a list",
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}
# "api" is this near to "apo"; below it hints turn silly, such as "outlier" for "routes".
_NEAR = 0.66
_SECRETS = {("admin", "token")}


def sentence(error: Mapping[str, Any], path: KeyPath) -> str:
    """Say what is wrong at `path`, from one entry of `ValidationError.errors()`."""
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return "unknown key" + did_you_mean(str(path[-1]), known_keys(path[:-1]))
        case "missing":
            return "missing, this key is required"
        case "too_short":
            return "expected at least one entry, got none"
        case "literal_error":
            expected = context["expected"].replace("'", '"')
        case name:
            expected = _EXPECTED[name].format_map({key: _whole(limit) for key, limit in context.items()})
    value = error["input"]
    return f"expected {expected}, got {kind(value) if path in _SECRETS else shown(value)}"


def _whole(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that offers the nearest known name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=_NEAR)
    return f', did you mean "{near[0]}"?' if near else ""


def known_keys(path: KeyPath) -> list[str]:
    """Return the keys that the table at `path` may have."""
    table: Any = Config
    for part in path:
        if get_origin(table) is None:
            table = table.model_fields[part].annotation
        else:  # dict[name, table] or tuple[table, ...]
            table = next(argument for argument in get_args(table) if _is_table(argument))
    return list(table.model_fields)


def _is_table(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
