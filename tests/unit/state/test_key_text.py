"""How keys are shown."""

import pytest

from lbg.state.bucket_layout import ROW_TEXT
from lbg.state.key_text import ABSENT, key_text

DIGEST = bytes(range(0xA0, 0xB0))
SHORT = "a0a1a2a3a4a5a6a7"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (b"192.0.2.1", "192.0.2.1"),
        (b"2001:db8::/64", "2001:db8::/64"),
        ("Köln".encode(), "Köln"),
        (b"/v1/reports", "/v1/reports"),
        (b"two words", "two words"),
        (b"x" * ROW_TEXT, "x" * ROW_TEXT),
        (b"x" * (ROW_TEXT + 1), "x" * 40 + "..." + SHORT),
        ("ö".encode() * 40, "ö" * 20 + "..." + SHORT),
        (ABSENT + b"192.0.2.1", "192.0.2.1"),
        (b"", f"digest:{SHORT}"),
        (b"..", f"digest:{SHORT}"),
        (b"/", f"digest:{SHORT}"),
        (b"a\x1b[31m", f"digest:{SHORT}"),
        (b"a\nb", f"digest:{SHORT}"),
        (b"\xff\xfe", f"digest:{SHORT}"),
    ],
)
def test_a_key_is_shown_as_text_where_it_is_one(key: bytes, text: str) -> None:
    assert key_text(key, DIGEST, secret=False) == text
    assert len(text.encode()) <= ROW_TEXT


def test_a_secret_is_shown_by_its_digest() -> None:
    assert key_text(b"Bearer abc", DIGEST, secret=True) == f"digest:{SHORT}"


def test_the_client_that_sent_no_secret_is_shown() -> None:
    assert key_text(ABSENT + b"192.0.2.1", DIGEST, secret=True) == "192.0.2.1"
