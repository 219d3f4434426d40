"""Which request fields pass upstream, which end at the proxy."""

import pytest

from lbg.http.headers import REMEMBERED, RequestRules, Rule

# RFC 9110 section 7.6.1: Connection itself, and what an intermediary removes without being told. The
# authentication fields are those of sections 11.7.1 and 11.7.2, Trailer that of section 6.6.2.
HOP_BY_HOP = [
    b"Connection",
    b"Proxy-Connection",
    b"Keep-Alive",
    b"TE",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
    b"Proxy-Authenticate",
    b"Proxy-Authorization",
]


@pytest.fixture
def rules() -> RequestRules:
    return RequestRules(underscores=False)


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_a_hop_by_hop_field_does_not_simply_pass(rules: RequestRules, name: bytes) -> None:
    for form in (name, name.lower(), name.upper()):
        assert rules[form] is not Rule.PASS


@pytest.mark.parametrize("name", [b"Proxy", b"PROXY", b"HTTP2-Settings"])
def test_a_dangerous_field_never_passes(rules: RequestRules, name: bytes) -> None:
    assert rules[name] is Rule.DROP


@pytest.mark.parametrize(
    "name",
    [
        b"Forwarded",
        b"X-Real-IP",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"X-Forwarded-Host",
        b"X-Forwarded-Port",
        b"X-FORWARDED-ANYTHING",
    ],
)
def test_a_forwarding_field_is_kept_apart(rules: RequestRules, name: bytes) -> None:
    assert rules[name] is Rule.FORWARDING


@pytest.mark.parametrize(
    "name", [b"Accept", b"Authorization", b"Trailers", b"X-Proxy", b"Keep", b"Range", b"DNT"]
)
def test_an_end_to_end_field_passes(rules: RequestRules, name: bytes) -> None:
    assert rules[name] is Rule.PASS


@pytest.mark.parametrize("name", [b"X_Forwarded_For", b"X-Forwarded_For", b"Content_Length", b"a_b"])
def test_a_name_with_an_underscore_is_dropped(rules: RequestRules, name: bytes) -> None:
    assert rules[name] is Rule.DROP


def test_underscores_pass_when_allowed() -> None:
    assert RequestRules(underscores=True)[b"X_Anything"] is Rule.PASS


def test_strange_names_do_not_fill_the_memory(rules: RequestRules) -> None:
    for number in range(REMEMBERED + 100):
        rules[b"x-%d" % number]
    assert len(rules) == REMEMBERED
    assert rules[b"Proxy-Authorization"] is Rule.DROP
    assert rules[b"X-%d" % REMEMBERED] is Rule.PASS
