"""Names and hashed passwords, as `basic_auth` takes them: in the form that werkzeug.security writes."""

import re
from collections.abc import Iterator
from hashlib import new
from typing import Final

from lbg.config.problems import shown

_SCRYPT = re.compile(r"scrypt:([0-9]{1,10}):([0-9]{1,3}):([0-9]{1,3})\$([!-#%-~]+)\$([0-9a-f]+)")
_PBKDF2 = re.compile(r"pbkdf2:(sha1|sha224|sha256|sha384|sha512):([1-9][0-9]{0,6})\$([!-#%-~]+)\$([0-9a-f]+)")
_SCRYPT_DIGITS: Final = 128
_LEAST_N: Final = 1024  # for fewer, werkzeug gives OpenSSL too little memory
_MOST_MEMORY: Final = 2**28  # bytes that one check may take
_COMMAND: Final = (
    "python -c 'from getpass import getpass; from werkzeug.security import generate_password_hash;"
    " print(generate_password_hash(getpass()))'"
)


def checked_hash(text: str) -> str:
    """Return `text` if it is a hash that can be checked. Raises ValueError with nothing of it in the text."""
    if scrypt := _SCRYPT.fullmatch(text):
        n, r, p = map(int, scrypt.groups()[:3])
        digits = _SCRYPT_DIGITS
        if n < _LEAST_N or n & (n - 1) or not r or not p or 128 * n * r * p > _MOST_MEMORY:
            raise ValueError(
                "expected scrypt:N:r:p with N a power of two from 1024, and 256 MiB at most to check"
            )
        found = scrypt[5]
    elif pbkdf2 := _PBKDF2.fullmatch(text):
        digits = 2 * new(pbkdf2[1], usedforsecurity=False).digest_size
        found = pbkdf2[4]
    else:
        raise ValueError(f'expected a hash such as "scrypt:32768:8:1$salt$digits", made by {_COMMAND}')
    if len(found) != digits:
        raise ValueError(f"the hash is not whole: expected {digits} digits at its end, got {len(found)}")
    return text


def checked_name(text: str) -> str:
    """Return `text` if it can be sent as a name (RFC 7617 section 2). Raises ValueError."""
    if not text or ":" in text or not text.isprintable():
        raise ValueError(f'expected a name without ":" and control characters, got {shown(text)}')
    return text


def parse_users(text: str) -> dict[str, str]:
    """Return the names and hashes of the `name:hash` lines in `text`.

    Empty lines and those that begin with "#" are passed over. Raises ValueError with the number of the line
    and a sentence.
    """
    users: dict[str, str] = {}
    for number, line in _lines(text):
        name, colon, hashed = line.partition(":")
        if not colon:
            raise ValueError(f"line {number}: expected name:hash")
        if name in users:
            raise ValueError(f"line {number}: {shown(name)} is there already")
        try:
            users[checked_name(name)] = checked_hash(hashed)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return users


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped
