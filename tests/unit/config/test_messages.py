"""What a person sees for each mistake: a configuration, and the exact lines of the error."""

import pytest

from tests.unit.config.mistakes import POOL, error_lines


def in_section(line):
    """A `[server]` line number 2 of a file that is right otherwise."""
    return f"[server]\n{line}\n{POOL}"


FILES = [
    # one key
    (
        in_section("keepalive_timout = 3"),
        'lbg.toml:2: server.keepalive_timout: unknown key, did you mean "keepalive_timeout"?',
    ),
    (in_section("zzz = 3"), "lbg.toml:2: server.zzz: unknown key"),
    (in_section('workers = "two"'), 'lbg.toml:2: server.workers: expected a whole number, got "two"'),
    (in_section("workers = 2.0"), "lbg.toml:2: server.workers: expected a whole number, got 2.0"),
    (in_section("workers = true"), "lbg.toml:2: server.workers: expected a whole number, got true"),
    (in_section("workers = -1"), "lbg.toml:2: server.workers: expected at least 0, got -1"),
    (in_section("workers = 5000"), "lbg.toml:2: server.workers: expected at most 62, got 5000"),
    (
        in_section("workers = 0x" + "f" * 20),
        "lbg.toml:2: server.workers: expected at most 62, got a number too large",
    ),
    (in_section("max_connections = 0"), "lbg.toml:2: server.max_connections: expected at least 1, got 0"),
    (
        in_section("max_header_bytes = 1"),
        "lbg.toml:2: server.max_header_bytes: expected at least 1024, got 1",
    ),
    (
        in_section("header_timeout = nan"),
        "lbg.toml:2: server.header_timeout: expected a finite number, got nan",
    ),
    (
        in_section("header_timeout = -inf"),
        "lbg.toml:2: server.header_timeout: expected a finite number, got -inf",
    ),
    (in_section("header_timeout = false"), "lbg.toml:2: server.header_timeout: expected a number, got false"),
    (in_section('header_timeout = "NaN"'), 'lbg.toml:2: server.header_timeout: expected a number, got "NaN"'),
    (in_section("header_timeout = 0"), "lbg.toml:2: server.header_timeout: expected at least 0.001, got 0"),
    (
        in_section("header_timeout = 07:32:00"),
        "lbg.toml:2: server.header_timeout: expected a number, got a date or time",
    ),
    (in_section("forwarded = 1"), "lbg.toml:2: server.forwarded: expected true or false, got 1"),
    (
        in_section('via = "a b"'),
        'lbg.toml:2: server.via: expected a name without spaces, such as "lbg", got "a b"',
    ),
    (in_section("via = []"), "lbg.toml:2: server.via: expected a string, got a list"),
    (in_section("[server.tls]"), "lbg.toml:2: server.tls: unknown key"),
    ("server = 3\n" + POOL, "lbg.toml:1: server: expected a table, got 3"),
    # addresses
    (in_section("bind = []"), "lbg.toml:2: server.bind: expected at least one entry, got none"),
    (in_section("bind = 80"), "lbg.toml:2: server.bind: expected a list, got 80"),
    (in_section("bind = [80]"), "lbg.toml:2: server.bind[0]: expected a string, got 80"),
    (
        in_section('bind = "80"'),
        'lbg.toml:2: server.bind: expected host:port, such as "0.0.0.0:8080", or unix:/path, got "80"',
    ),
    (
        in_section('bind = ["a:1",\n"b:x"]'),
        'lbg.toml:3: server.bind[1]: expected a port from 0 to 65535, got "x"',
    ),
    (in_section('bind = [":1", ":1"]'), 'lbg.toml:2: server.bind: "0.0.0.0:1" is listed twice'),
    (
        in_section('trusted_proxies = ["::/0", "10.0.0.1/8"]'),
        'lbg.toml:2: server.trusted_proxies[1]: "10.0.0.1/8" has bits set after its prefix,'
        ' did you mean "10.0.0.0/8"?',
    ),
    (
        in_section('trusted_proxies = ["all"]'),
        'lbg.toml:2: server.trusted_proxies[0]: expected a network such as "10.0.0.0/8", got "all"',
    ),
    (in_section("trusted_proxies = [1]"), "lbg.toml:2: server.trusted_proxies[0]: expected a string, got 1"),
    (
        in_section('trusted_proxies = ["fe80::%eth0/64"]'),
        "lbg.toml:2: server.trusted_proxies[0]: a network with a zone, such as %eth0, is not supported",
    ),
    (
        '[admin]\nbind = "0.0.0.0:9090"\n' + POOL,
        "lbg.toml:2: admin.bind: admin.token must be set when others can connect,"
        " and 0.0.0.0:9090 is not a loopback address",
    ),
    (
        '[admin]\nbind = "127.0.0.1:8080"\n[server]\nbind = "127.0.0.1:8080"\n' + POOL,
        'lbg.toml:2: admin.bind: "127.0.0.1:8080" is also in server.bind',
    ),
    # the token is never shown
    ("[admin]\ntoken = 12345\n" + POOL, "lbg.toml:2: admin.token: expected a string, got a number"),
    (
        '[admin]\ntoken = "a secret"\n' + POOL,
        "lbg.toml:2: admin.token: expected visible ASCII characters without spaces",
    ),
    # choices
    (
        '[log]\nformat = "jsn"\n' + POOL,
        'lbg.toml:2: log.format: expected "auto", "json" or "console", got "jsn"',
    ),
    (
        '[log]\nlevel = "loud"\n' + POOL,
        'lbg.toml:2: log.level: expected "debug", "info", "warning" or "error", got "loud"',
    ),
    (POOL + "host = 1\n", 'lbg.toml:3: pools.api.host: expected "client" or "endpoint", got 1'),
    # pools and endpoints
    ("", "lbg.toml: pools: missing, this key is required"),
    ("pools = {}", "lbg.toml:1: pools: expected at least one entry, got none"),
    ("pools = 1", "lbg.toml:1: pools: expected a table, got 1"),
    ("[pools.api]", "lbg.toml:1: pools.api.endpoints: missing, this key is required"),
    ("[pools.api]\nendpoints = []", "lbg.toml:2: pools.api.endpoints: expected at least one entry, got none"),
    (
        '[pools.api]\nendpoints = "http://a"',
        'lbg.toml:2: pools.api.endpoints: expected a list, got "http://a"',
    ),
    (
        '[pools.api]\nendpoints = [\n"http://a",\n"b:80",\n]',
        'lbg.toml:4: pools.api.endpoints[1]: expected http://host:port or unix:/path, got "b:80"',
    ),
    (
        '[pools.api]\nendpoints = [{ url = "https://a" }]',
        "lbg.toml:2: pools.api.endpoints[0].url: https endpoints are not supported yet,"
        " expected http://host:port or unix:/path",
    ),
    (
        '[pools.api]\nendpoints = ["http://a", { url = "http://b", weight = 1001 }]',
        "lbg.toml:2: pools.api.endpoints[1].weight: expected at most 1000, got 1001",
    ),
    (
        "[pools.api]\nendpoints = [7]",
        "lbg.toml:2: pools.api.endpoints[0]: expected a URL or a table with url and weight, got 7",
    ),
    (
        '[pools.api]\n[[pools.api.endpoints]]\nurl = "http://a"\n[[pools.api.endpoints]]\nurl = "http://A:80/"',
        "lbg.toml:2: pools.api.endpoints: items 0 and 1 are the same endpoint, http://a",
    ),
    (
        '[pools."a b"]\nendpoints = ["http://a"]',
        'lbg.toml:1: pools."a b": expected a pool name of 1 to 64 letters, digits, "-" and "_"',
    ),
    (
        '[pools."[key]"]\nendpoints = ["http://a"]',
        'lbg.toml:1: pools."[key]": expected a pool name of 1 to 64 letters, digits, "-" and "_"',
    ),
    (POOL + "timeouts = 5", "lbg.toml:3: pools.api.timeouts: expected a table, got 5"),
    (
        POOL + "timeouts.conect = 5",
        'lbg.toml:3: pools.api.timeouts.conect: unknown key, did you mean "connect"?',
    ),
    (
        POOL + "[pools.api.retry]\nattempts = 0",
        "lbg.toml:4: pools.api.retry.attempts: expected at least 1, got 0",
    ),
    # routes
    (POOL + "routes = 1\n", "lbg.toml:3: pools.api.routes: unknown key"),
    ("routes = 1\n" + POOL, "lbg.toml:1: routes: expected a list, got 1"),
    (
        POOL + '[[routes]]\npool = "apo"',
        'lbg.toml:4: routes[0].pool: there is no pool named "apo", did you mean "api"?',
    ),
    (POOL + '[[routes]]\npool = "zzz"', 'lbg.toml:4: routes[0].pool: there is no pool named "zzz"'),
    (
        POOL + '[[routes]]\npath = "/"',
        "lbg.toml:3: routes[0]: expected one of pool, split, redirect, respond and maintenance",
    ),
    (
        POOL + '[[routes]]\npool = "api"\n[[routes]]\npool = "api"\npath = "/"',
        "lbg.toml:5: routes[1]: same host and path as routes[0]",
    ),
    (
        POOL + '[[routes]]\npool = "api"\nhost = "*.A.b"\n[[routes]]\npool = "api"\nhost = "*.a.B"',
        "lbg.toml:6: routes[1]: same host and path as routes[0]",
    ),
    (
        POOL + '[pools.web]\nendpoints = ["http://a"]',
        "lbg.toml: routes: expected at least one [[routes]] table, because there are 2 pools",
    ),
    (
        POOL + '[[routes]]\npool = "api"\nhost = "a:80"',
        'lbg.toml:5: routes[0].host: expected a host without a port, got "a:80"',
    ),
    (
        POOL + '[[routes]]\npool = "api"\nhost = "*"',
        "lbg.toml:5: routes[0].host: leave host out to match every host",
    ),
    (
        POOL + '[[routes]]\npool = "api"\nhost = "a.*"',
        'lbg.toml:5: routes[0].host: expected a host name or an IP address, got "a.*"',
    ),
    (
        POOL + '[[routes]]\npool = "api"\npath = "v1"',
        'lbg.toml:5: routes[0].path: expected a path that starts with "/", without query or spaces, got "v1"',
    ),
    (
        POOL + '[[routes]]\npool = "api"\npath = "/a/../b"',
        'lbg.toml:5: routes[0].path: a path with dot segments can never match, got "/a/../b"',
    ),
    # not a TOML document
    ("[server\n", "lbg.toml:1: not valid TOML at column 8: expected ']' at the end of a table declaration"),
    ("\nworkers\n", "lbg.toml:2: not valid TOML at column 8: expected '=' after a key in a key/value pair"),
    ("[server]\n[server]\n", "lbg.toml:2: not valid TOML at column 8: cannot declare server twice"),
    ("a = 1\na = 2\n", "lbg.toml:2: not valid TOML at column 6: cannot set a key or table twice"),
    ("a = [1", "lbg.toml: not valid TOML at the end of the file: unclosed array"),
    ("a = " + "[" * 5000, "lbg.toml: values are nested too deeply"),
    ("a = " + "9" * 5000, "lbg.toml: a number has too many digits"),
]


@pytest.mark.parametrize(("text", "line"), FILES)
def test_a_mistake_in_a_file_is_told_in_one_line(tmp_path, text, line):
    assert error_lines(tmp_path, text) == [line]


ENVIRONMENTS = [
    ("LBG_SERVER__WORKERS", "two", 'LBG_SERVER__WORKERS: server.workers: expected a whole number, got "two"'),
    ("LBG_SERVER__WORKERS", "", 'LBG_SERVER__WORKERS: server.workers: expected a whole number, got ""'),
    ("LBG_SERVER__WORKERS", "-1", "LBG_SERVER__WORKERS: server.workers: expected at least 0, got -1"),
    (
        "LBG_SERVER__HEADER_TIMEOUT",
        "NaN",
        "LBG_SERVER__HEADER_TIMEOUT: server.header_timeout: expected a finite number, got nan",
    ),
    (
        "LBG_SERVER__FORWARDED",
        "yes",
        'LBG_SERVER__FORWARDED: server.forwarded: expected true or false, got "yes"',
    ),
    (
        "LBG_SERVER__BIND",
        ":1, x:y",
        'LBG_SERVER__BIND: server.bind[1]: expected a port from 0 to 65535, got "y"',
    ),
    ("LBG_SERVER__BIND", '["a:1", null]', "LBG_SERVER__BIND: server.bind[1]: expected a string, got null"),
    ("LBG_SERVER__BIND", "", "LBG_SERVER__BIND: server.bind: expected at least one entry, got none"),
    (
        "LBG_ADMIN__TOKEN",
        "a secret",
        "LBG_ADMIN__TOKEN: admin.token: expected visible ASCII characters without spaces",
    ),
    (
        "LBG_ADMIN__BIND",
        ":9090",
        "LBG_ADMIN__BIND: admin.bind: admin.token must be set when others can connect,"
        " and 0.0.0.0:9090 is not a loopback address",
    ),
    (
        "LBG_LOG__FORMAT",
        "xml",
        'LBG_LOG__FORMAT: log.format: expected "auto", "json" or "console", got "xml"',
    ),
    ("LBG_SERVER__WORKRS", "2", 'LBG_SERVER__WORKRS: unknown variable, did you mean "LBG_SERVER__WORKERS"?'),
    ("LBG_SERVR__BIND", "a:1", 'LBG_SERVR__BIND: unknown variable, did you mean "LBG_SERVER__BIND"?'),
    ("LBG_QQQ__ZZZ", "a:1", "LBG_QQQ__ZZZ: unknown variable"),
    ("LBG_CONFIG", "none.toml", "none.toml: cannot be read: no such file or directory"),
    ("LBG_CONFIG", "/", "/: cannot be read: is a directory"),
    ("LBG_CONFIG", "a\0b", "a\0b: cannot be read: not a file name"),
]


@pytest.mark.parametrize(("name", "value", "line"), ENVIRONMENTS)
def test_a_mistake_in_the_environment_is_told_in_one_line(tmp_path, name, value, line):
    assert error_lines(tmp_path, POOL, {name: value}) == [line]


@pytest.mark.parametrize(
    ("endpoints", "line"),
    [
        (
            "a:80",
            'LBG_ENDPOINTS: pools.default.endpoints[0]: expected http://host:port or unix:/path, got "a:80"',
        ),
        (
            "http://a,http://b,http://a",
            "LBG_ENDPOINTS: pools.default.endpoints: items 0 and 2 are the same endpoint, http://a",
        ),
        (" , ", "LBG_ENDPOINTS: pools.default.endpoints: expected at least one entry, got none"),
    ],
)
def test_a_mistake_in_the_list_of_endpoints_is_told_in_one_line(tmp_path, endpoints, line):
    assert error_lines(tmp_path, None, {"LBG_ENDPOINTS": endpoints}) == [line]


def test_without_any_configuration_the_three_ways_to_give_one_are_told(tmp_path):
    assert error_lines(tmp_path, None) == [
        "lbg.toml: not found: write it, name another file in LBG_CONFIG,"
        " or list endpoint URLs in LBG_ENDPOINTS"
    ]


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path):
    (tmp_path / "lbg.toml").write_bytes(b"[server]\n# \xff\n")
    assert error_lines(tmp_path, None) == ["lbg.toml:2: not valid UTF-8"]


def test_a_directory_in_place_of_the_file_is_told(tmp_path):
    (tmp_path / "lbg.toml").mkdir()
    assert error_lines(tmp_path, None) == ["lbg.toml: cannot be read: is a directory"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = """\
[server]
workers = "two"
[pools.api]
endpoints = ["x", "http://b"]
retry.atempts = 1
[pools.web]
[[routes]]
pool = "wep"
[[routes]]
path = "x"
[loog]
"""
    assert error_lines(tmp_path, text, {"LBG_SERVER__VIAA": "x", "LBG_LOG__LEVEL": "x"}) == [
        'lbg.toml:2: server.workers: expected a whole number, got "two"',
        'lbg.toml:4: pools.api.endpoints[0]: expected http://host:port or unix:/path, got "x"',
        'lbg.toml:5: pools.api.retry.atempts: unknown key, did you mean "attempts"?',
        "lbg.toml:6: pools.web.endpoints: missing, this key is required",
        'lbg.toml:8: routes[0].pool: there is no pool named "wep", did you mean "web"?',
        "lbg.toml:9: routes[1]: expected one of pool, split, redirect, respond and maintenance",
        'lbg.toml:10: routes[1].path: expected a path that starts with "/", without query or spaces, got "x"',
        'lbg.toml:11: loog: unknown key, did you mean "log"?',
        'LBG_LOG__LEVEL: log.level: expected "debug", "info", "warning" or "error", got "x"',
        'LBG_SERVER__VIAA: unknown variable, did you mean "LBG_SERVER__VIA"?',
    ]


def test_a_long_value_is_shortened_and_control_characters_are_escaped(tmp_path):
    (line,) = error_lines(tmp_path, in_section('via = "\\u001b[31m' + "x" * 200 + '"'))
    assert line.endswith('got "\\u001b[31m' + "x" * 52 + '..."')
