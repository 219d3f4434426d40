"""What breaks no rule, although it is near to what does."""

import pytest

from lbg.config.load import load

POOLS = '[pools.api]\nendpoints = ["http://a"]\n[pools.web]\nendpoints = ["http://b"]\n'
USER = "alice:scrypt:32768:8:1$c2FsdHNhbHQ$" + "0123456789abcdef" * 8

ROUTES = [
    'pool = "api"\nheaders = { X-A = { regex = "a" }, X-B = { present = false }, X-C = { values = ["1"] } }',
    'pool = "api"\nquery = { a = "1", A = "2" }',
    'pool = "api"\npath_exact = "/api"\nstrip_prefix = "/api"',
    'pool = "api"\npath = "/api/v1"\nstrip_prefix = "/api/"',
    'pool = "api"\npath = "/api/"\nstrip_prefix = "/api"',
    'pool = "api"\npath = "/api"\nstrip_prefix = "/api"\nmaintenance = { allow = "10.0.0.0/8" }',
    'split = [{ pool = "api", weight = 1 }, { pool = "web", weight = 0 }]\nsplit_key = "path"',
    'split = [{ pool = "api", weight = 1 }]\npath = "/a"\nrewrite = { prefix = "/b" }',
    'pool = "api"\npath_exact = "/a"\nrewrite = { prefix = "/" }',
    r"""pool = "api"
rewrite = { regex = "/(?P<v>v1)/(x)", to = '/\g<v>/\1/\2/\\' }""",
    'pool = "api"\nrewrite = { regex = "/v1", to = "" }',
    'respond = { status = 204, headers = { Date = "today" } }',
    "respond = {}",
    'respond = { body = "{status} {{}}\\n\u20ac", content_type = "text/html" }',
    'respond = { file = "$FILES/page.html" }\nerror_pages = { 5xx = "$FILES/page.html" }',
    'redirect = { to = "{scheme}://{host}{uri}" }',
    'redirect = "HTTPS://example.com/"',
    "maintenance = true",
    "maintenance = false\nrespond = { status = 404 }",
    'path_regex = "/(?P<a>.)/(.)"\nredirect = "/{match:a}{match:1}{match:2}{match:0}"',
]

FILTERS = [
    'use = "access", allow = ["10.0.0.0/8"]',
    'use = "access", deny = "10.0.0.0/8"',
    'use = "access", allow = ["10.0.0.0/8"], default = "allow", deny_methods = "DELETE"',
    'use = "access", allow = ["10.0.0.0/8"], deny = ["10.1.0.0/16"], default = "deny"',
    'use = "access", deny_path_regex = "x"',
    'use = "rate_limit", rate = "1/s", ban_after = 1, ban = 5',
    'use = "rate_limit", rate = "1/s", ban_after = 0',
    'use = "headers", request.set.Host = "{header:X-Host}"',
    'use = "headers", request.set.Host = "a.example:80", request.remove = "X-Forwarded-Host"',
    'use = "headers", response.set = { Date = "x", Server = "y", X_A = "1", Via = "z" }',
    'use = "headers", request = { set = { X-A = "1" }, add = { x-a = "2" }, remove = ["X_A", "Host"] }',
    'use = "query", remove = "a"',
    'use = "query", set = { "" = "\u20ac", "a b" = "{path}" }',
    f"use = 'basic_auth', users = {{ alice = '{USER[6:]}' }}",
    'use = "basic_auth", file = "$FILES/users", user_header = "X-User"',
    'use = "forward_auth", pool = "api", path = "{uri}", response_headers = ["X-User"]',
    'use = "cors", origins = "*"',
    'use = "cors", origins = ["https://a.example", "https://*.a.example"], credentials = true, headers = "*"',
    'use = "mirror", pool = "api"',
    'use = "request_id", header = "x-request-ID"',
    'use = "request_id", header = "X-Correlation-Id"',
    'use = "shop.filters:tag", class = "x", more = { a = [1, 2.5, true, "x", { b = {} }] }',
]


def accepted(directory, text):
    (directory / "page.html").write_text("page")
    (directory / "users").write_text(f"{USER}\n")
    (directory / "lbg.toml").write_text(POOLS + text.replace("$FILES", str(directory)))
    return load({}, directory).config.routes


@pytest.mark.parametrize("route", ROUTES)
def test_a_route_is_accepted(tmp_path, route):
    assert len(accepted(tmp_path, f"[[routes]]\n{route}\n")) == 1


@pytest.mark.parametrize("line", FILTERS)
def test_a_filter_is_accepted(tmp_path, line):
    (route,) = accepted(tmp_path, f'[[routes]]\npool = "api"\nfilters = [{{ {line} }}]\n')
    assert len(route.filters) == 1


def test_names_with_an_underscore_are_accepted_where_they_pass(tmp_path):
    text = '[[routes]]\npool = "api"\nfilters = [{ use = "headers", request.set.X_A = "1" }]\n'
    accepted(tmp_path, text + "[server]\nunderscore_headers = true\n")


def test_routes_that_differ_in_one_condition_are_accepted(tmp_path):
    conditions = [
        "",
        'host = "a"',
        'host = "*.a"',
        'path = "/a"',
        'path_exact = "/a"',
        'path_regex = "/a"',
        'methods = ["GET"]',
        'methods = ["GET", "PUT"]',
        'headers = { X = "1" }',
        'headers = { X = ["1", "2"] }',
        "headers = { X = true }",
        "headers = { X = false }",
        'headers = { X = { regex = "1" } }',
        'query = { X = "1" }',
        'query = { x = "1" }',
    ]
    text = "".join(f'[[routes]]\npool = "api"\n{condition}\n' for condition in conditions)
    assert len(accepted(tmp_path, text)) == len(conditions)


def test_filters_may_stand_in_a_route_more_than_once_and_share_a_limit(tmp_path):
    limit = '{ use = "rate_limit", rate = "1/s", name = "x" }'
    others = '{ use = "concurrency", limit = 1, name = "x" }, { use = "rate_limit", rate = "2/s" }'
    headers = '{ use = "headers", request.set.A = "1" }'
    filters = f"filters = [{limit}, {headers}, {limit}, {others}, {others}, {headers}]"
    text = f'[[routes]]\npool = "api"\n{filters}\n[[routes]]\npool = "api"\npath = "/x"\n{filters}\n'
    assert [len(route.filters) for route in accepted(tmp_path, text)] == [8, 8]
