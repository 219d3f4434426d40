"""From "package.module:attribute" in the configuration to the object it names."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, Final

from lbg.config.hints import did_you_mean
from lbg.hooks.place import place_of, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_DOTTED: Final = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
_REFERENCE: Final = re.compile(rf"({_DOTTED}):({_DOTTED})")


class HookError(Exception):
    """A reference names nothing that can be called; the text says why in one sentence."""


def load(reference: str) -> Callable[..., Any]:
    """Import what "package.module:attribute" names; the attribute may have dots too.

    Raises HookError.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise HookError(f'expected "package.module:attribute", got "{reference}"')
    module, path = match.groups()
    found: Any = _import(module)
    owner = f'module "{module}"'
    for depth, name in enumerate(path.split("."), 1):
        found = _attribute(found, name, owner)
        owner = f'"{module}:{".".join(path.split(".")[:depth])}"'
    if not callable(found):
        raise HookError(f"{owner} cannot be called, it is of type {type(found).__name__}")
    loaded: Callable[..., Any] = found
    return loaded


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        place = place_of(error)
        if not place:
            raise HookError(_absent(name, error)) from error
        raise HookError(f'importing "{name}" failed: {told(error)} ({place})') from error
    except KeyboardInterrupt:
        raise
    except SystemExit as error:
        raise HookError(f'importing "{name}" called for an exit: {told(error)}{_at(error)}') from error
    except BaseException as error:
        raise HookError(f'importing "{name}" failed: {told(error)}{_at(error)}') from error


def _absent(name: str, error: ModuleNotFoundError) -> str:
    """Say which part of the dotted `name` is not there."""
    missing = error.name or name
    parent = missing.rpartition(".")[0]
    if not parent:
        return f'there is no module "{missing}"'
    if "is not a package" in str(error):
        return f'there is no module "{missing}", "{parent}" is no package'
    return f'there is no module "{missing}" in package "{parent}"'


def _attribute(owner: Any, name: str, called: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        known = [each for each in dir(owner) if not each.startswith("_")]
        raise HookError(f'{called} has no attribute "{name}"{did_you_mean(name, known)}') from None
    except Exception as error:
        raise HookError(f'getting "{name}" from {called} failed: {told(error)}{_at(error)}') from error


def _at(error: BaseException) -> str:
    place = place_of(error)
    return f" ({place})" if place else ""
