"""What browsers are told about pages of other origins."""

from typing import Any

import pytest

from tests.unit.filters.around import Answer, Filtered

SHOP = "https://shop.example"
ALLOW_ORIGIN = "Access-Control-Allow-Origin"


def _ask(*fields: tuple[str, str], headers: Any = (), method: str = "GET", **table: Any) -> Answer:
    table = {"use": "cors", "origins": [SHOP], **table}
    return Filtered(table, headers).ask("/", *fields, method=method)


def _preflight(origin: str = SHOP, *fields: tuple[str, str], **table: Any) -> Answer:
    filtered = Filtered({"use": "cors", "origins": [SHOP], **table})
    asked = (("Origin", origin), ("Access-Control-Request-Method", "PUT"), *fields)
    answer = filtered.ask("/", *asked, method="OPTIONS")
    assert not filtered.seen
    assert (answer.code, answer.body, answer.values("content-length")) == (204, b"", [])
    return answer


def test_a_preflight_request_is_answered_here() -> None:
    answer = _preflight(methods=["GET", "PUT"], headers=["X-A", "X-B"], max_age=5)
    assert answer.headers == [
        ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ("Access-Control-Allow-Origin", SHOP),
        ("Access-Control-Allow-Methods", "GET, PUT"),
        ("Access-Control-Allow-Headers", "X-A, X-B"),
        ("Access-Control-Max-Age", "5"),
    ]


def test_a_preflight_request_of_another_origin_is_granted_nothing() -> None:
    answer = _preflight("https://evil.example")
    assert [name for name, _ in answer.headers] == ["Vary"]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("OPTIONS", [("Origin", SHOP)]),
        ("OPTIONS", [("Access-Control-Request-Method", "PUT")]),
        ("GET", [("Origin", SHOP), ("Access-Control-Request-Method", "PUT")]),
    ],
)
def test_other_requests_pass(method: str, fields: list[tuple[str, str]]) -> None:
    filtered = Filtered({"use": "cors", "origins": [SHOP]})
    assert filtered.ask("/", *fields, method=method).body == b"ok"
    assert len(filtered.seen) == 1


def test_all_fields_that_a_page_asks_for_are_allowed_by_a_star() -> None:
    answer = _preflight(SHOP, ("Access-Control-Request-Headers", "x-a, authorization"), headers=["*"])
    assert answer.values("access-control-allow-headers") == ["x-a, authorization"]


@pytest.mark.parametrize("asked", ["", "\xe9", "x\x00", "a\tb", 'x"'])
def test_fields_that_are_none_are_not_sent_back(asked: str) -> None:
    answer = _preflight(SHOP, ("Access-Control-Request-Headers", asked), headers=["*"])
    assert answer.values("access-control-allow-headers") == []


@pytest.mark.parametrize(
    ("origins", "origin", "granted"),
    [
        ([SHOP], SHOP, True),
        ([SHOP], "HTTPS://Shop.example", True),
        ([SHOP], "http://shop.example", False),
        ([SHOP], "https://shop.example:444", False),
        ([SHOP], "https://shop.example.evil", False),
        ([SHOP], "https://shop.example/", False),
        ([SHOP], "https://a.shop.example", False),
        ([SHOP], f"{SHOP}, {SHOP}", False),
        ([SHOP], f"{SHOP} https://evil.example", False),
        ([SHOP], "null", False),
        ([SHOP], "", False),
        ([SHOP], "\xff" * 5000, False),
        (["https://*.shop.example"], "https://a.shop.example", True),
        (["https://*.shop.example"], "https://a.b-c.shop.example", True),
        (["https://*.shop.example"], SHOP, False),
        (["https://*.shop.example"], "https://evilshop.example", False),
        (["https://*.shop.example"], "https://.shop.example", False),
        (["https://*.shop.example"], "https://evil/a.shop.example", False),
        (["https://*.shop.example"], "https://evil:1.shop.example", False),
        (["https://*.shop.example"], "https://a.shopXexample", False),
        (["https://*.shop.example"], "https://a.shop.example:444", False),
        (["https://*.shop.example"], "https://a.shop.example\n", False),
        (["https://*.shop.example:444"], "https://a.shop.example:444", True),
        (["https://*.a.example", "http://*.b.example"], "http://x.b.example", True),
        (["https://*.a.example", "http://*.b.example"], "http://x.a.example", False),
    ],
)
def test_an_origin_must_be_listed(origins: list[str], origin: str, granted: bool) -> None:
    answer = _ask(("Origin", origin), origins=origins)
    assert answer.values(ALLOW_ORIGIN) == ([origin] if granted else [])
    assert answer.values("vary") == ["Origin"]


def test_everyone_may_read_what_is_for_everyone() -> None:
    for fields in ([], [("Origin", SHOP)], [("Origin", "null")]):
        answer = _ask(*fields, origins=["*"])
        assert answer.values(ALLOW_ORIGIN) == ["*"]
        assert answer.values("vary") == []


def test_credentials_are_for_listed_origins_only() -> None:
    name = "access-control-allow-credentials"
    assert _ask(("Origin", SHOP), credentials=True).values(name) == ["true"]
    assert _ask(("Origin", "https://evil.example"), credentials=True).values(name) == []
    assert _ask(("Origin", SHOP)).values(name) == []
    assert _preflight(credentials=True).values(name) == ["true"]


def test_fields_are_exposed_to_pages_that_may_read() -> None:
    name = "access-control-expose-headers"
    assert _ask(("Origin", SHOP), expose=["X-A", "X-B"]).values(name) == ["X-A, X-B"]
    assert _ask(("Origin", "https://evil.example"), expose=["X-A"]).values(name) == []


@pytest.mark.parametrize("origin", [SHOP, "https://evil.example", None])
def test_what_the_backend_grants_does_not_count(origin: str | None) -> None:
    headers = [
        ("access-control-allow-origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "*"),
        ("X-A", "1"),
    ]
    fields = [("Origin", origin)] if origin else []
    answer = _ask(*fields, headers=headers)
    assert answer.values(ALLOW_ORIGIN) == ([SHOP] if origin == SHOP else [])
    assert answer.values("access-control-allow-credentials") == []
    assert answer.values("access-control-expose-headers") == []
    assert answer.values("x-a") == ["1"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], ["Origin"]),
        ([""], ["Origin"]),
        (["Accept"], ["Accept, Origin"]),
        (["accept , ORIGIN"], ["accept , ORIGIN"]),
        (["*"], ["*"]),
        (["Accept", "Cookie"], ["Accept, Origin", "Cookie"]),
        (["Accept", "Origin"], ["Accept", "Origin"]),
        (["X-Origin"], ["X-Origin, Origin"]),
    ],
)
def test_vary_is_told_once(before: list[str], after: list[str]) -> None:
    answer = _ask(headers=[("vary", value) for value in before])
    assert answer.values("vary") == after
