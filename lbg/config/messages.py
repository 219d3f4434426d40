"""Our sentence for each kind of error that pydantic finds."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag

from lbg.config.hints import did_you_mean, nearest
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
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
}
_PUT = ("routes", "*", "filters", "*", "request")
# A name that the writer chose, or a place in a list, stands as "*". What stands where the table of a secret
# belongs may be the secret.
_SECRETS = (
    ("admin", "token"),
    ("pools", "*", "sticky"),
    ("pools", "*", "sticky", "secret"),
    ("routes", "*", "filters", "*", "users"),
    ("routes", "*", "filters", "*", "users", "*"),
    _PUT,
    (*_PUT, "*"),
    (*_PUT, "*", "*"),
)


def sentence(error: Mapping[str, Any], path: KeyPath) -> str:
    """Say what is wrong at `path`, from one entry of `ValidationError.errors()`."""
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "extra_forbidden":
            return "unknown key" + did_you_mean(str(path[-1]), _known_keys(error["loc"][:-1]))
        case "missing":
            return "missing, this key is required"
        case "too_short":
            return "expected at least one entry, got none"
        case "too_long":
            return f"expected at most {context['max_length']} entries, got {len(error['input'])}"
        case "literal_error":
            expected = context["expected"].replace("'", '"')
        case name:
            expected = _EXPECTED[name].format_map({key: _whole(limit) for key, limit in context.items()})
    value = error["input"]
    return f"expected {expected}, got {kind(value) if _is_secret(path) else shown(value)}"


def _is_secret(path: KeyPath) -> bool:
    return any(
        len(secret) == len(path)
        and all(part in {"*", found} for part, found in zip(secret, path, strict=True))
        for secret in _SECRETS
    )


def _whole(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def meant_key(location: KeyPath) -> KeyPath | None:
    """Return where pydantic would look for the key that the unknown one at `location` may be meant for."""
    near = nearest(str(location[-1]), _known_keys(location[:-1]))
    return None if near is None else (*location[:-1], near)


def _known_keys(location: KeyPath) -> list[str]:
    """Return the keys that the table at a location of pydantic's may have."""
    table: Any = Config
    for part in location:
        table = _below(_plain(table), part)
    return list(_plain(table).model_fields)


def _below(annotation: Any, part: str | int) -> Any:
    if _is_table(annotation):
        return annotation.model_fields[part].annotation
    arguments = get_args(annotation)
    if get_origin(annotation) in {Union, UnionType}:  # of tables with tags
        return next(one for one in arguments if Tag(str(part)) in get_args(one))
    return arguments[1 if get_origin(annotation) is dict else 0]


def _plain(annotation: Any) -> Any:
    """Take `Annotated` and `| None` away."""
    while not _is_table(annotation):
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
            continue
        arguments = [one for one in get_args(annotation) if one is not type(None)]
        if get_origin(annotation) not in {Union, UnionType} or len(arguments) > 1:
            break
        annotation = arguments[0]
    return annotation


def _is_table(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
