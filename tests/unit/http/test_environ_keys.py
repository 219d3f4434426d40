"""Field names as WSGI environ keys."""

import pytest

from lbg.http.headers import REMEMBERED, EnvironKeys


@pytest.fixture
def keys() -> EnvironKeys:
    return EnvironKeys(underscores=False)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (b"Host", "HTTP_HOST"),
        (b"x-forwarded-for", "HTTP_X_FORWARDED_FOR"),
        (b"Content-Type", "CONTENT_TYPE"),
        (b"content-type", "CONTENT_TYPE"),
        (b"CONTENT-LENGTH", "CONTENT_LENGTH"),
    ],
)
def test_a_name_becomes_its_cgi_key(keys: EnvironKeys, name: bytes, key: str) -> None:
    assert keys[name] == key


@pytest.mark.parametrize("name", [b"Proxy", b"proxy", b"X_Forwarded_For", b"Content_Length"])
def test_a_name_that_could_forge_a_key_has_none(keys: EnvironKeys, name: bytes) -> None:
    assert keys[name] is None


def test_underscores_have_a_key_when_allowed() -> None:
    assert EnvironKeys(underscores=True)[b"X_A"] == "HTTP_X_A"


@pytest.mark.parametrize("name", [b"Content_Length", b"content_length", b"Transfer_Encoding"])
def test_allowed_underscores_cannot_forge_the_framing(name: bytes) -> None:
    key = EnvironKeys(underscores=True)[name]
    assert key not in {"CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"}


def test_strange_names_do_not_fill_the_memory(keys: EnvironKeys) -> None:
    for number in range(REMEMBERED + 100):
        keys[b"x-%d" % number]
    assert len(keys) == REMEMBERED
    assert keys[b"x-%d" % REMEMBERED] == f"HTTP_X_{REMEMBERED}"
