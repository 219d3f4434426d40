"""Whether what a reference names takes the arguments that lbg calls it with, found out without a call."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Fault = tuple[str, str]
"""The option that a sentence is about, `""` for the reference itself, and the sentence."""


def misfits(function: Callable[..., Any], reference: str, options: Sequence[str]) -> list[Fault]:
    """Return what speaks against `function(something, **options)`; nothing where no signature is to be had.

    `reference` is what the sentences call it.
    """
    parameters = _parameters(function)
    if parameters is None:
        return []
    kinds = {parameter.kind for parameter in parameters}
    listed = [
        each for each in parameters if each.kind not in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}
    ]
    given = listed[0] if listed and listed[0].kind is not Parameter.KEYWORD_ONLY else None
    others = listed if given is None else listed[1:]
    faults: list[Fault] = []
    if given is None and Parameter.VAR_POSITIONAL not in kinds:
        faults.append(("", f"{reference} takes no positional argument, it is called with one"))
    takes = f"; it takes {', '.join(each.name for each in listed)}" if listed else ""
    for option in options:
        if given is not None and _is_named(given, option):
            faults.append((option, f"{reference} is given this argument by lbg"))
        elif Parameter.VAR_KEYWORD not in kinds and not any(_is_named(each, option) for each in others):
            faults.append((option, f"{reference} takes no such argument{takes}"))
    absent = [each.name for each in others if _is_absent(each, options)]
    if absent:
        noun = "an argument" if len(absent) == 1 else "arguments"
        faults.append(("", f"{reference} wants {noun} {', '.join(absent)}"))
    return faults


def _parameters(function: Callable[..., Any]) -> list[Parameter] | None:
    try:
        # What a decorator put around it is called, and may well take other arguments.
        return list(signature(function, follow_wrapped=False).parameters.values())
    except Exception:  # noqa: BLE001 - of the user's, too: a signature may be a property
        return None


def _is_named(parameter: Parameter, option: str) -> bool:
    return parameter.name == option and parameter.kind is not Parameter.POSITIONAL_ONLY


def _is_absent(parameter: Parameter, options: Sequence[str]) -> bool:
    if parameter.default is not Parameter.empty:
        return False
    return not any(_is_named(parameter, option) for option in options)
