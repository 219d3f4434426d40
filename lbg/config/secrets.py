"""What of a configuration may be shown to people: secrets, and what may be one, are hidden."""

import re
from typing import Any, Final

HIDDEN: Final = "(hidden)"

Document = dict[str, Any]

_FIELD: Final = re.compile(
    r"(?i)auth(?!ors?(?![a-z]))|bearer|cookie|credential|jwt|key|pass|pwd|secret|session|sign|token"
)
_SETTING: Final = re.compile(r"credential|passw|secret|token")
_FIELDS: Final = frozenset({"headers", "query", "set", "add"})  # tables by the name of a field or parameter
_CREDENTIALS: Final = re.compile(r"(?i)\b(basic|bearer|digest|token)\s+[^\s,]+")
_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY: Final = re.compile(r"(://[^?#\s]*\?)[^#\s]+")


def may_be_secret(name: str) -> bool:
    """Return whether the value of a field or parameter of this name had better not be shown."""
    return _FIELD.search(name) is not None


def text_without_secrets(text: str) -> str:
    """Return `text` without the user names, passwords and credentials that it may carry."""
    return _CREDENTIALS.sub(rf"\1 {HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))


def settings_without_secrets(settings: Document) -> Document:
    """Return a table as JSON has it, where all fields and queries are hidden that lbg sends by itself."""
    return _table(settings, in_route=False)


def route_without_secrets(settings: Document) -> Document:
    """Return settings of a route, or of a filter, as JSON has them.

    Of the fields that it asks for or sets, those are hidden that are called like a secret.
    """
    return _table(settings, in_route=True)


def covered(value: Any) -> Any:
    """Return `value` with all its texts hidden; that one is empty may be seen."""
    match value:
        case str():
            return HIDDEN if value else ""
        case list():
            return [covered(one) for one in value]
        case dict():
            return {name: covered(inner) for name, inner in value.items()}
    return value


def _table(settings: Document, *, in_route: bool) -> Document:
    return {name: _setting(name, value, in_route=in_route) for name, value in settings.items()}


def _setting(name: str, value: Any, *, in_route: bool) -> Any:
    if name == "users":
        return covered(value)
    if name in _FIELDS and isinstance(value, dict):
        return {
            field: covered(inner) if not in_route or may_be_secret(field) else _shown(inner, in_route=False)
            for field, inner in value.items()
        }
    if isinstance(value, str) and _SETTING.search(name):
        return covered(value)
    if isinstance(value, str) and name == "path":
        path, mark, _ = value.partition("?")
        return text_without_secrets(f"{path}?{HIDDEN}" if mark else path)
    return _shown(value, in_route=in_route)


def _shown(value: Any, *, in_route: bool) -> Any:
    match value:
        case str():
            text = text_without_secrets(value)
            return text if in_route else _QUERY.sub(rf"\1{HIDDEN}", text)
        case list():
            return [_shown(one, in_route=in_route) for one in value]
        case dict():
            return _table(value, in_route=in_route)
    return value
