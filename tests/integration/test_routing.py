"""Which route a request takes, and what becomes of it there."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import Header, RawClient, RawResponse, fetch
from tests.support.handlers import answer
from tests.support.lbg import LbgProcess

NAMES = ("main", "api", "deep", "beta", "private")
PRIVATE = "/private"


class Front:
    """lbg with routes to backends that answer with their names."""

    def __init__(self, lbg: LbgProcess, backends: dict[str, Backend]) -> None:
        self.lbg = lbg
        self.backends = backends

    def ask(
        self, target: str, *headers: Header, host: str = "any.example", method: str = "GET"
    ) -> RawResponse:
        """Send one request as it is written."""
        return fetch(self.lbg.address, target, method=method, headers=[("Host", host), *headers])

    def taken(self, target: str, *headers: Header, host: str = "any.example", method: str = "GET") -> str:
        """Return who answered, or the status and reason of a refusal."""
        response = self.ask(target, *headers, host=host, method=method)
        if response.status == 200:
            return response.body.decode()
        reason = (response.get("proxy-status") or "").partition('details="')[2].rstrip('"')
        return f"{response.status} {reason}".strip()

    def received(self, name: str) -> str:
        """Return the last target that a backend received."""
        return self.backends[name].requests[-1].target.decode("latin-1")


ROUTES: list[dict[str, object]] = [
    {"name": "all", "pool": "main"},
    {"name": "api", "path": "/api", "pool": "api", "strip_prefix": "/api"},
    {"name": "api-v2", "path": "/api/v2", "pool": "deep", "rewrite": {"prefix": "/second"}},
    {"name": "exact", "path_exact": "/api/v2", "pool": "beta"},
    {
        "name": "users",
        "path_regex": "/users/(?P<id>[0-9]+)",
        "pool": "api",
        "rewrite": {"regex": "^/users/([0-9]+)$", "to": r"/find.php?id=\1"},
    },
    {"name": "put", "path": "/items", "methods": ["PUT", "POST"], "pool": "api"},
    {"name": "get", "path": "/items", "methods": "GET", "pool": "deep"},
    {"name": "beta", "headers": {"X-Beta": "1"}, "pool": "beta"},
    {"name": "agents", "headers": {"User-Agent": {"regex": "(?i)bot"}}, "query": {"q": True}, "pool": "deep"},
    {"name": "debug", "query": {"debug": ["1", "yes"]}, "pool": "api"},
    {"name": "host", "host": "api.example", "pool": "api"},
    {"name": "host-v2", "host": "api.example", "path": "/v2", "pool": "deep"},
    {"name": "wild", "host": "*.example.org", "pool": "beta"},
    {"name": "deeper", "host": "*.eu.example.org", "pool": "deep"},
    {"name": "private", "path": PRIVATE, "pool": "private"},
    {"name": "old", "path": "/old", "redirect": {"to": "https://new.example{uri}", "status": 308}},
    {"name": "teapot", "path_exact": "/teapot", "respond": {"status": 418, "body": "{method} {path}"}},
    {
        "name": "closed",
        "path": "/closed",
        "maintenance": {"retry_after": 60, "allow": ["192.0.2.0/24"]},
        "pool": "main",
    },
    {"name": "open", "path": "/open", "maintenance": {"allow": ["127.0.0.0/8"]}, "pool": "main"},
]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """Run lbg with all these routes."""
    with ExitStack() as stack:
        backends = {name: stack.enter_context(Backend(answer(body=name.encode()))) for name in NAMES}
        pools = {name: {"endpoints": [backend.url]} for name, backend in backends.items()}
        config = {"pools": pools, "routes": ROUTES}
        yield Front(stack.enter_context(LbgProcess(config, tmp_path_factory.mktemp("routes"))), backends)


@pytest.mark.parametrize(
    ("host", "target", "name"),
    [
        ("api.example", "/", "api"),
        ("API.example:8080", "/", "api"),
        ("api.example.", "/v2/x", "deep"),
        ("a.example.org", "/", "beta"),
        ("a.b.example.org", "/", "beta"),
        ("a.eu.example.org", "/", "deep"),
        ("eu.example.org", "/", "beta"),
        ("example.org", "/", "main"),
        ("any.example", "/api/x", "api"),
        ("any.example", "/api/v2/x", "deep"),
        ("any.example", "/api/v2", "beta"),
        ("any.example", "/apix", "main"),
        ("any.example", "/users/7", "api"),
        ("any.example", "/users/7/x", "main"),
        ("any.example", "/users/x", "main"),
        ("api.example", "/users/7", "api"),
    ],
)
def test_host_and_path_lead_to_a_pool(front: Front, host: str, target: str, name: str) -> None:
    assert front.taken(target, host=host) == name


@pytest.mark.parametrize(
    ("method", "name"), [("PUT", "api"), ("POST", "api"), ("GET", "deep"), ("HEAD", ""), ("DELETE", "main")]
)
def test_the_method_leads_to_a_pool(front: Front, method: str, name: str) -> None:
    assert front.taken("/items/1", method=method) == name
    if method == "HEAD":
        assert front.backends["deep"].requests[-1].method == "HEAD"


@pytest.mark.parametrize(
    ("target", "headers", "name"),
    [
        ("/", [("X-Beta", "1")], "beta"),
        ("/", [("x-beta", "2")], "main"),
        ("/", [("X-Beta", "1"), ("X-Beta", "1")], "main"),
        ("/?q", [("User-Agent", "SomeBot/1.0")], "deep"),
        ("/", [("User-Agent", "SomeBot/1.0")], "main"),
        ("/?q", [("User-Agent", "curl")], "main"),
        ("/?debug=1", [], "api"),
        ("/?a=2&debug=no&debug=y%65s", [], "api"),
        ("/?debug", [], "main"),
        ("/?q&debug=1", [("User-Agent", "bot"), ("X-Beta", "1")], "deep"),
        ("/?debug=1", [("X-Beta", "1")], "beta"),
    ],
)
def test_header_fields_and_query_parameters_lead_to_a_pool(
    front: Front, target: str, headers: list[Header], name: str
) -> None:
    assert front.taken(target, *headers) == name


@pytest.mark.parametrize(
    ("target", "name", "received"),
    [
        ("/api/a%2Fb/%7e;x//y?z=%20", "api", "/a%2Fb/%7e;x//y?z=%20"),
        ("/api", "api", "/"),
        ("/api//other.example/", "api", "/other.example/"),
        ("/api/v2/a%2fb?c", "deep", "/second/a%2fb?c"),
        ("/users/7", "api", "/find.php?id=7"),
        ("/users/7?a=b", "api", "/find.php?id=7&a=b"),
        ("/x/../y//z%2Fa?b", "main", "/x/../y//z%2Fa?b"),
    ],
)
def test_the_target_goes_on_as_it_came_but_for_what_the_route_changes(
    front: Front, target: str, name: str, received: str
) -> None:
    assert front.taken(target) == name
    assert front.received(name) == received


@pytest.mark.parametrize(
    "target",
    [
        "//private",
        "/%2Fprivate",
        "/./private",
        "/%2e/private",
        "/x/../private",
        "/x/%2e%2e/private",
        "/x/%2E./private",
        "/x/..%2fprivate",
        "/x%2f..%2Fprivate",
        "/x/..;/private",
        "/x/..;a=b/private",
        "/x/%2e%2e;/private",
        "/;/private",
        "/private/..",
        "/private/../x",
        "/private/%2e%2e/x",
        "/private%2f..%2fx",
        "/private;a=b",
        "/x\\..\\private",
        "/x/..%5cprivate",
        "/\\private",
        "/..",
        "/../private",
        "/x/../private/y/%2e%2e/%2e%2e/z",
        "/x%00/../private",
    ],
)
def test_no_spelling_of_a_path_slips_past_the_route_it_belongs_to(front: Front, target: str) -> None:
    seen = {name: len(backend.requests) for name, backend in front.backends.items()}
    assert front.taken(target) == "400 bad_request"
    assert {name: len(backend.requests) for name, backend in front.backends.items()} == seen


@pytest.mark.parametrize(
    "target", ["/%70rivate", "/%70%72ivate/x", "/private/./x", "/private/a%2Fb//c;d", "/privat%65"]
)
def test_an_escaped_path_takes_the_route_it_belongs_to(front: Front, target: str) -> None:
    assert front.taken(target) == "private"
    assert front.received("private") == target


def test_an_absolute_target_tells_the_host_whatever_the_field_says(front: Front) -> None:
    with RawClient(front.lbg.address) as client:
        client.send(b"GET http://api.example/v2 HTTP/1.1\r\nHost: any.example\r\n\r\n")
        assert client.read_response().body == b"deep"
    with RawClient(front.lbg.address) as client:
        client.send(b"GET /v2 HTTP/1.1\r\nHost: any.example\r\nHost: api.example\r\n\r\n")
        assert client.read_response().status == 400


def test_a_redirect_keeps_path_and_query(front: Front) -> None:
    response = front.ask("/old/a%2Fb?c=%20")
    assert (response.status, response.get("location")) == (308, "https://new.example/old/a%2Fb?c=%20")


def test_a_fixed_response_is_told_with_its_variables(front: Front) -> None:
    response = front.ask("/teapot", method="POST")
    assert (response.status, response.body) == (418, b"POST /teapot")


def test_maintenance_is_for_all_but_some(front: Front) -> None:
    response = front.ask("/closed/x")
    assert (response.status, response.get("retry-after")) == (503, "60")
    assert front.taken("/open/x") == "main"


def test_no_route_is_a_404(lbg: StartLbg, backend: Backend) -> None:
    routes = [{"host": "a.example", "path": "/x", "methods": "PUT", "pool": "main"}]
    process = lbg({"pools": {"main": {"endpoints": [backend.url]}}, "routes": routes})
    for host, target, method in [
        ("b.example", "/x", "PUT"),
        ("a.example", "/y", "PUT"),
        ("a.example", "/x", "GET"),
    ]:
        response = fetch(process.address, target, method=method, headers=[("Host", host)])
        assert response.status == 404
        assert 'details="no_route"' in (response.get("proxy-status") or "")
    assert backend.requests == []


def test_a_split_gives_each_pool_its_share_and_a_key_the_same_pool_in_every_worker(lbg: StartLbg) -> None:
    with Backend(answer(body=b"main")) as main, Backend(answer(body=b"canary")) as canary:
        split = [
            {"pool": "main", "weight": 80},
            {"pool": "canary", "weight": 20},
            {"pool": "off", "weight": 0},
        ]
        routes: list[dict[str, object]] = [
            {"split": split},
            {"path": "/keyed", "split": split, "split_key": "header:X-User"},
        ]
        pools = {"main": main.url, "canary": canary.url, "off": "http://127.0.0.1:1"}
        config = {"pools": {name: {"endpoints": [url]} for name, url in pools.items()}, "routes": routes}
        process = lbg(config, workers=4)
        chance = Counter(fetch(process.address).body for _ in range(400))
        assert chance[b"main"] + chance[b"canary"] == 400
        assert 40 <= chance[b"canary"] <= 130
        answers = {
            user: {fetch(process.address, "/keyed", headers=[("X-User", str(user))]).body for _ in range(6)}
            for user in range(100)
        }
        assert all(len(seen) == 1 for seen in answers.values())
        assert 8 <= sum(seen == {b"canary"} for seen in answers.values()) <= 35
        told = _lbg(process, "route", "GET", "/keyed", "-H", "X-User: 7", "--json")
        assert json.loads(told.stdout)["split"]["pool"].encode() in answers[7]


def _lbg(process: LbgProcess, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Return what the command line says, asked in the directory of a running lbg."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
    admin = {"LBG_ADMIN__BIND": addresses.authority(process.admin_address)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "lbg.cli.main", *arguments],
        cwd=process.directory,
        env=inherited | admin | environ,
        capture_output=True,
        text=True,
        timeout=20.0,
        check=False,
    )


QUESTIONS = [
    ("GET", "http://api.example/v2/x"),
    ("PUT", "http://any.example/items"),
    ("GET", "http://any.example/users/7?a=b"),
    ("GET", "http://any.example/x/../private"),
    ("GET", "http://any.example/private/%61"),
    ("GET", "http://any.example/old"),
]


@pytest.mark.parametrize(("method", "url"), QUESTIONS)
def test_what_the_command_line_says_is_what_happens(front: Front, method: str, url: str) -> None:
    told = json.loads(_lbg(front.lbg, "route", method, url, "--json").stdout)
    host, slash, target = url.removeprefix("http://").partition("/")
    response = front.ask(slash + target, host=host, method=method)
    if told["refused"]:
        assert response.status == told["refused"]["status"]
    elif told["outcome"] == "redirect":
        assert response.get("location") == told["location"]
    else:
        assert response.body.decode() == told["pool"]["name"]
        assert front.received(told["pool"]["name"]) == told["target"]


def test_the_command_line_shows_the_way_and_the_state_of_endpoints(front: Front) -> None:
    shown = _lbg(front.lbg, "route", "GET", "http://api.example/items")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "route       host, for host api.example, any path" in shown.stdout
    front.lbg.wait_for(front.backends["api"].url, "up")
    endpoint = addresses.authority(front.backends["api"].address)
    assert (
        f"tried       1. {endpoint} up since" in _lbg(front.lbg, "route", "GET", "http://api.example/").stdout
    )


def test_an_endpoint_that_is_down_is_shown_with_the_reason(lbg: StartLbg, backend: Backend) -> None:
    with addresses.bound_socket(("127.0.0.1", 0)) as unused:
        dead = addresses.url(addresses.local_address(unused))
    pool = {"endpoints": [backend.url, dead], "health": {"interval": 0.2, "fast_interval": 0.1, "fall": 1}}
    process = lbg({"pools": {"main": pool}, "routes": [{"pool": "main"}]})
    process.wait_for(dead, "down")
    pool_told = json.loads(_lbg(process, "route", "GET", "/", "--json").stdout)["pool"]
    assert [one["name"] for one in pool_told["candidates"]] == [backend.url.removeprefix("http://")]
    (other,) = pool_told["others"]
    assert (other["state"], "refused" in other["sentence"]) == ("down", True)


def test_the_file_alone_answers_too(front: Front) -> None:
    file = str(front.lbg.config_path)
    shown = _lbg(
        front.lbg, "route", "GET", "http://any.example/api/x", "--config", file, LBG_ADMIN__BIND="127.0.0.1:1"
    )
    assert shown.returncode == 0
    assert "target      /x" in shown.stdout
    assert "no health, load or state of endpoints is known" in shown.stdout


def test_all_routes_are_told_in_order_of_precedence(front: Front) -> None:
    told = [route["name"] for route in front.lbg.ask("/api/v1/routes")]
    assert told[:4] == ["host-v2", "host", "deeper", "wild"]
    assert told[-4:] == ["agents", "beta", "debug", "all"]
    assert sorted(told) == sorted(str(route["name"]) for route in ROUTES)
