"""Which form of a local reply an `Accept` value asks for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.replies import preferred

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("text/html", "text/html"),
        (BROWSER, "text/html"),
        ("application/json", "application/json"),
        ("APPLICATION/JSON; charset=utf-8", "application/json"),
        ("application/problem+json", "application/json"),
        ("application/json;q=0.5, text/html", "text/html"),
        ("application/json, text/html;q=0.9", "application/json"),
        ("text/html;q=0.2, application/json;q=0.3, text/plain;q=0.1", "application/json"),
        ("text/html, application/json", "text/html"),
        ("text/html;q=0", "text/plain"),
        ("text/html;q=0.0, application/json;q=0.001", "application/json"),
        ("text/html;q=x", "text/plain"),
        ("text/html;q=nan", "text/plain"),
        ("text/html;level=1;q=0.3, application/json;q=0.2", "text/html"),
        ("image/png", "text/plain"),
        (";q=1", "text/plain"),
    ],
)
def test_the_highest_ranked_form_we_offer_wins(accept: str, kind: str) -> None:
    assert preferred(accept) == kind


@settings(deadline=None)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["text/html", ";q=", "0.1", ",", "json", "="])).map("".join)
)
def test_no_accept_value_breaks_a_reply(accept: str) -> None:
    assert preferred(accept) in {"text/plain", "text/html", "application/json"}
