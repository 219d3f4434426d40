"""Where a configuration comes from: a file, or the environment alone."""

import ast
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lbg.config.environment import data_of_endpoints, unknown_variables, variables_of_keys, with_variables
from lbg.config.lines import key_lines
from lbg.config.problems import ConfigError, KeyPath, Origin, Problem, key_text
from lbg.config.schema import Config
from lbg.config.validate import validate

__all__ = ["ConfigError", "Loaded", "Problem", "load"]

DEFAULT_FILE = "lbg.toml"
ENDPOINTS = "LBG_ENDPOINTS"
START_VARIABLE = "LBG_START_DIRECTORY"
"""Set in workers of our master only: where relative names of files begin."""

_POSITION = re.compile(r" \((?:at line (?P<line>\d+), column (?P<column>\d+)|at end of document)\)$")
_KEY_TUPLE = re.compile(r"\(['\"].*\)")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, the name of its source and where in it each key stands.

    The source is the file as it was given, or LBG_ENDPOINTS.
    """

    config: Config
    source: str
    origin: Origin = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Read:
    source: str
    data: dict[str, object]
    lines: dict[KeyPath, int]


def load(environ: Mapping[str, str], cwd: Path) -> Loaded:
    """Load from $LBG_CONFIG, else from lbg.toml in `cwd`, else from $LBG_ENDPOINTS.

    A file wins over $LBG_ENDPOINTS, and LBG_SECTION__KEY wins over the file. LBG_CONFIG set to nothing means
    that no file is read, not even lbg.toml. Raises ConfigError.
    """
    unknown = list(unknown_variables(environ))
    try:
        read = _read(environ, cwd)
        origin = Origin(read.source, read.lines, variables_of_keys(environ))
        config = validate(with_variables(read.data, environ), origin)
    except ConfigError as error:
        raise ConfigError([*error.problems, *unknown]) from None
    if unknown:
        raise ConfigError(unknown)
    return Loaded(config, read.source, origin)


def _read(environ: Mapping[str, str], cwd: Path) -> _Read:
    name = environ.get("LBG_CONFIG")
    if name:
        return _parse(_content(name, cwd), name)
    if name is None and os.path.lexists(cwd / DEFAULT_FILE):
        return _parse(_content(DEFAULT_FILE, cwd), DEFAULT_FILE)
    endpoints = environ.get(ENDPOINTS)
    if endpoints:
        return _Read(ENDPOINTS, data_of_endpoints(endpoints), {})
    message = "not found: write it, name another file in LBG_CONFIG, or list endpoint URLs in LBG_ENDPOINTS"
    raise ConfigError([Problem(DEFAULT_FILE, None, "", message)])


def _content(name: str, cwd: Path) -> bytes:
    try:
        return (cwd / name).read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    except ValueError:  # a NUL in the name
        reason = "not a file name"
    raise ConfigError([Problem(name, None, "", f"cannot be read: {reason}")])


def _parse(content: bytes, name: str) -> _Read:
    try:
        text = content.decode("utf-8-sig")
        return _Read(name, tomllib.loads(text), key_lines(text))
    except UnicodeDecodeError as error:
        problem = Problem(name, content.count(b"\n", 0, error.start) + 1, "", "not valid UTF-8")
    except tomllib.TOMLDecodeError as error:
        problem = _syntax_problem(name, str(error))
    except RecursionError:
        problem = Problem(name, None, "", "values are nested too deeply")
    except ValueError:  # what int() says above sys.get_int_max_str_digits()
        problem = Problem(name, None, "", "a number has too many digits")
    raise ConfigError([problem])


def _syntax_problem(name: str, text: str) -> Problem:
    """Rewrite what tomllib says, "Cannot declare ('server',) twice (at line 4, column 8)", as ours."""
    position = _POSITION.search(text)
    what = text[: position.start()] if position else text
    what = _KEY_TUPLE.sub(lambda match: key_text(ast.literal_eval(match[0])), what)
    what = what[:1].lower() + what[1:].replace("annot overwrite a value", "annot set a key or table twice")
    if position is None or position["line"] is None:
        return Problem(name, None, "", f"not valid TOML at the end of the file: {what}")
    return Problem(name, int(position["line"]), "", f"not valid TOML at column {position['column']}: {what}")
