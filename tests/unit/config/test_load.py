from ipaddress import ip_network

import pytest

from lbg.config.load import ConfigError, Problem, load
from lbg.config.routes import RouteConfig
from lbg.net.address import parse_bind

POOL = '[pools.api]\nendpoints = ["http://a"]\n'


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "lbg.toml").write_text(POOL.replace("api", "here"))
    (tmp_path / "other.toml").write_text(POOL.replace("api", "other"))
    return tmp_path


@pytest.mark.parametrize(
    ("environ", "source", "pool"),
    [
        ({}, "lbg.toml", "here"),
        ({"LBG_CONFIG": "other.toml"}, "other.toml", "other"),
        ({"LBG_ENDPOINTS": "http://b"}, "lbg.toml", "here"),
        ({"LBG_CONFIG": "other.toml", "LBG_ENDPOINTS": "http://b"}, "other.toml", "other"),
        ({"LBG_CONFIG": "", "LBG_ENDPOINTS": "http://b"}, "LBG_ENDPOINTS", "default"),
    ],
)
def test_the_file_named_wins_over_the_file_here_which_wins_over_the_list(directory, environ, source, pool):
    loaded = load(environ, directory)
    assert (loaded.source, list(loaded.config.pools)) == (source, [pool])


def test_an_absolute_file_name_is_taken_as_it_is(directory, tmp_path_factory):
    name = str(directory / "other.toml")
    assert load({"LBG_CONFIG": name}, tmp_path_factory.mktemp("elsewhere")).source == name


def test_the_list_of_endpoints_makes_one_pool_with_a_route_for_everything(tmp_path):
    config = load({"LBG_ENDPOINTS": "http://127.0.0.1:8000, unix:/run/a.sock,"}, tmp_path).config
    assert [endpoint.url for endpoint in config.pools["default"].endpoints] == [
        "http://127.0.0.1:8000",
        "unix:/run/a.sock",
    ]
    assert config.routes == (RouteConfig(pool="default"),)
    assert (config.routes[0].host, config.routes[0].path) == (None, None)


def test_routes_that_are_written_are_kept_in_order(tmp_path):
    (tmp_path / "lbg.toml").write_text(
        POOL + '[[routes]]\npool = "api"\npath = "/b"\n[[routes]]\npool = "api"\nhost = "*.A.example."\n'
        '[[routes]]\npool = "api"\nhost = "[0::1]"\n'
    )
    routes = load({}, tmp_path).config.routes
    assert [(route.host, route.path) for route in routes] == [
        (None, "/b"),
        ("*.a.example", None),
        ("[::1]", None),
    ]


def test_variables_win_over_the_file_and_have_the_type_of_their_key(tmp_path):
    (tmp_path / "lbg.toml").write_text(
        '[server]\nworkers = "not a number"\nvia = "file"\nkeepalive_timeout = 1\n' + POOL
    )
    environ = {
        "LBG_SERVER__WORKERS": "3",
        "LBG_SERVER__HEADER_TIMEOUT": "2.5",
        "LBG_SERVER__FORWARDED": "TRUE",
        "LBG_SERVER__BIND": "[::]:80, unix:/a",
        "LBG_SERVER__TRUSTED_PROXIES": '["10.0.0.0/8", "::1"]',
        "LBG_ADMIN__BIND": "0.0.0.0:9090",
        "LBG_ADMIN__TOKEN": "123",
        "LBG_LOG__LEVEL": "INFO",
    }
    config = load(environ, tmp_path).config
    assert (config.server.workers, config.server.header_timeout, config.server.forwarded) == (3, 2.5, True)
    assert config.server.bind == (parse_bind("[::]:80"), parse_bind("unix:/a"))
    assert config.server.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert (config.server.via, config.server.keepalive_timeout) == ("file", 1.0)
    assert (config.admin.bind.text, config.admin.token, config.log.level) == ("0.0.0.0:9090", "123", "info")


def test_an_empty_variable_is_an_empty_list_or_text(tmp_path):
    config = load(
        {"LBG_ENDPOINTS": "http://a", "LBG_SERVER__TRUSTED_PROXIES": "", "LBG_ADMIN__TOKEN": ""}, tmp_path
    )
    assert (config.config.server.trusted_proxies, config.config.admin.token) == ((), "")


def test_other_variables_of_lbg_and_of_others_are_left_alone(directory):
    environ = {"LBG_STATE_DIR": "/x", "LBG_PORT_80_TCP": "tcp://10.0.0.1:80", "OTHER__KEY": "x", "HOME": "/"}
    assert load(environ, directory).source == "lbg.toml"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    (tmp_path / "lbg.toml").write_bytes(b"\xef\xbb\xbf" + POOL.replace("\n", "\r\n").encode())
    assert list(load({}, tmp_path).config.pools) == ["api"]


def test_an_error_carries_its_problems(tmp_path):
    (tmp_path / "lbg.toml").write_text(POOL + "host = 1\n")
    with pytest.raises(ConfigError) as caught:
        load({}, tmp_path)
    message = 'expected "client" or "endpoint", got 1'
    assert caught.value.problems == (Problem("lbg.toml", 3, "pools.api.host", message),)
