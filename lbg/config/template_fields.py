"""The kinds of text with variables in braces, each with what may stand in its place."""

import re
from typing import Annotated

from pydantic import AfterValidator

from lbg.config.hints import did_you_mean
from lbg.config.problems import shown
from lbg.http import template

# RFC 9110 section 5.5, without the line folding that is no longer allowed.
_FIELD_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_VISIBLE = re.compile(r"[!-~]*")
_LOCATION = re.compile(r"(?:https?://|/|\{[^{])", re.IGNORECASE)
_PATH = re.compile(r"(?:/|\{[^{])")
# What is only known of a request that was forwarded.
_OF_FORWARDED = ("pool", "endpoint")


def variables(text: str) -> tuple[template.Variable, ...]:
    """Return the variables in `text`, in order. Raises ValueError."""
    try:
        parts = template.parse(text)
    except template.UnknownVariable as error:
        hint = did_you_mean(error.name, error.known)
        raise ValueError(f"{error.what}{hint}" if hint else str(error)) from None
    return tuple(part for part in parts if isinstance(part, template.Variable))


def _text_of_request(value: str) -> str:
    return _without(value, template.OF_RESPONSE, "a response")


def _text_of_answer(value: str) -> str:
    return _without(value, _OF_FORWARDED, "a request that is forwarded")


def _without(value: str, kinds: tuple[str, ...], known_of: str) -> str:
    for variable in variables(value):
        if variable.kind in kinds and not variable.name:
            raise ValueError(f"{variable} is known only of {known_of}")
    return value


def _field_of_request(value: str) -> str:
    return _text_of_request(_field_value(value))


def _field_of_response(value: str) -> str:
    variables(_field_value(value))
    return value


def _field_value(value: str) -> str:
    if not _FIELD_VALUE.fullmatch(value):
        raise ValueError("a header field cannot hold control characters or characters beyond Latin-1")
    return value


def _location(value: str) -> str:
    if value.startswith(("//", "/\\")):
        raise ValueError(f"a browser takes what follows two slashes for a host, got {shown(value)}")
    if not _LOCATION.match(value) or not _VISIBLE.fullmatch(value):
        raise ValueError(
            f'expected a URL such as "https://{{host}}{{uri}}" or a path, in ASCII, got {shown(value)}'
        )
    return _text_of_request(value)


def _path(value: str) -> str:
    if not _PATH.match(value) or not _VISIBLE.fullmatch(value) or "#" in value:
        raise ValueError(f'expected a path that starts with "/", in ASCII, got {shown(value)}')
    return _text_of_request(value)


RequestField = Annotated[str, AfterValidator(_field_of_request)]
ResponseField = Annotated[str, AfterValidator(_field_of_response)]
RequestText = Annotated[str, AfterValidator(_text_of_request)]
AnswerText = Annotated[str, AfterValidator(_text_of_answer)]
Location = Annotated[str, AfterValidator(_location)]
PathTemplate = Annotated[str, AfterValidator(_path)]
