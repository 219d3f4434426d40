import pytest
from pydantic import ValidationError

from lbg.config.pool_fields import status_ranges
from lbg.config.pools import EndpointConfig, HealthConfig, PoolConfig, StickyConfig
from lbg.config.schema import AdminConfig, Config
from lbg.net.address import Address

ONE_POOL = {"pools": {"api": {"endpoints": ["http://a"]}}}


def test_the_defaults_are_the_documented_ones():
    config = Config.model_validate(ONE_POOL)
    assert config.model_dump(mode="json") == {
        "server": {
            "bind": ["0.0.0.0:8080"],
            "workers": 0,
            "max_connections": 10000,
            "keepalive_timeout": 75.0,
            "header_timeout": 10.0,
            "body_timeout": 30.0,
            "max_header_bytes": 65536,
            "max_body_bytes": 0,
            "shutdown_grace": 30.0,
            "trusted_proxies": [],
            "via": "lbg",
            "underscore_headers": False,
            "forwarded": False,
        },
        "admin": {"token": "", "bind": "127.0.0.1:9090", "watch": True},
        "log": {
            "level": "info",
            "format": "auto",
            "access": True,
            "access_file": "",
            "access_sample": 1.0,
            "access_always": "400-599",
        },
        "tracing": {
            "slow": 1.0,
            "sample": 0.0,
            "otlp": "",
            "otlp_sample": 1.0,
            "otlp_parent": "any",
            "service_name": "lbg",
        },
        "pools": {
            "api": {
                "balance": "power_of_two",
                "hash_key": "client_ip",
                "hash_bound": 0,
                "host": "client",
                "endpoints": [{"url": "http://a", "weight": 1, "max_requests": 0, "backup": False}],
                "when_all_down": "fail_closed",
                "slow_start": 0.0,
                "health": {
                    "type": "http",
                    "scheme": "http",
                    "method": "GET",
                    "path": "/",
                    "host": "",
                    "port": 0,
                    "headers": {},
                    "interval": 3.0,
                    "timeout": 2.0,
                    "fast_interval": 1.0,
                    "rise": 2,
                    "fall": 3,
                    "expect_status": "200-399",
                    "expect_body": "",
                },
                "outlier": {
                    "connect_failures": 3,
                    "server_errors": 5,
                    "eject": 10.0,
                    "max_eject": 300.0,
                    "max_ejected": 0.5,
                },
                "retry": {
                    "attempts": 3,
                    "on": ["connect", "stale", "reset", "down"],
                    "status": [],
                    "budget": 0.2,
                    "buffer": 65536,
                    "non_idempotent": False,
                },
                "timeouts": {"connect": 5.0, "response": 60.0, "idle": 60.0, "total": 0.0, "tunnel": 3600.0},
                "connections": {"idle": 128, "idle_timeout": 60.0, "max_requests": 0},
                "queue": {"size": 100, "timeout": 5.0},
                "tls": {"verify": True, "ca": "", "cert": "", "key": "", "server_name": ""},
                "sticky": None,
            }
        },
        "routes": [],
    }


def test_an_endpoint_is_a_url_or_a_table_and_knows_its_address():
    pool = PoolConfig.model_validate(
        {"endpoints": ["HTTP://A:80/", {"url": "http://[0::1]:8000", "weight": 1000}]}
    )
    first, second = pool.endpoints
    assert (first.url, first.weight, first.address) == ("http://a", 1, Address("tcp", "a", 80, ""))
    assert (second.url, second.weight, second.address) == (
        "http://[::1]:8000",
        1000,
        Address("tcp", "::1", 8000, ""),
    )


def test_a_time_may_be_written_without_a_fraction():
    timeout = HealthConfig.model_validate({"timeout": 2}).timeout
    assert (timeout, type(timeout)) == (2.0, float)


@pytest.mark.parametrize(("value", "text"), [(204, "204"), ("204", "204"), ("200-299, 401", "200-299, 401")])
def test_one_expected_status_may_be_a_number(value, text):
    assert HealthConfig.model_validate({"expect_status": value}).expect_status == text


def test_expected_statuses_are_ranges_with_both_ends():
    assert status_ranges("200-204, 304") == (range(200, 205), range(304, 305))


def test_a_check_is_kept_in_the_form_in_which_it_is_sent():
    health = HealthConfig.model_validate({"method": "head", "host": "A.b", "headers": {"X": " y\t"}})
    assert (health.method, health.host, health.headers) == ("HEAD", "a.b", {"X": "y"})


def test_nothing_changes_after_loading():
    config = Config.model_validate(ONE_POOL)
    with pytest.raises(ValidationError):
        config.server.workers = 3


def test_the_token_is_not_in_the_repr():
    assert "hunter2" not in repr(AdminConfig(token="hunter2"))


def test_the_secret_of_a_cookie_is_not_in_the_repr():
    assert "hunter2" not in repr(StickyConfig(secret="hunter2-hunter2-hunter2"))


@pytest.mark.parametrize("bind", ["127.0.0.1:9090", "[::1]:9090", "localhost:9090", "unix:/run/admin.sock"])
def test_a_loopback_admin_listener_needs_no_token(bind):
    assert AdminConfig.model_validate({"bind": bind}).bind.text == bind


@pytest.mark.parametrize(
    "bind",
    [
        "0.0.0.0:9090",
        "[::]:9090",
        "10.0.0.1:9090",
        "192.168.0.1:0",
        "[fe80::1]:9090",
        "[::ffff:10.0.0.1]:9090",
        "localhost.example.com:9090",
        "myhost:9090",
    ],
)
def test_any_other_admin_listener_needs_a_token(bind):
    with pytest.raises(ValidationError, match=r"admin.token must be set"):
        AdminConfig.model_validate({"bind": bind})
    assert not AdminConfig.model_validate({"bind": bind, "token": "t" * 16}).bind.is_loopback


def test_port_zero_can_be_bound_twice():
    data = {**ONE_POOL, "server": {"bind": ["127.0.0.1:0", "127.0.0.1:0"]}}
    assert len(Config.model_validate(data).server.bind) == 2


def test_a_valid_endpoint_is_accepted_as_it_is():
    endpoint = EndpointConfig(url="http://a", weight=2)
    assert PoolConfig(endpoints=(endpoint,)).endpoints == (endpoint,)
