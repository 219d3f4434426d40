"""An endpoint: its own Host line, and how it shows itself."""

import pytest

from lbg.config.pools import ConnectionsConfig, EndpointConfig
from lbg.state.cells import Cells
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.idle import IdleConnections


def endpoint_at(url: str) -> Endpoint:
    idle = IdleConnections(ConnectionsConfig())
    return Endpoint(EndpointConfig(url=url, weight=3), idle, Cells.private(), slot=0, worker=0)


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://a.example", b"Host: a.example\r\n"),
        ("http://a.example:8000", b"Host: a.example:8000\r\n"),
        ("http://[::1]:8000", b"Host: [::1]:8000\r\n"),
        ("unix:/run/app.sock", b"Host: localhost\r\n"),
    ],
)
def test_its_own_host_line(url: str, line: bytes) -> None:
    assert endpoint_at(url).host_line == line


def test_the_repr_names_address_and_weight() -> None:
    assert repr(endpoint_at("http://a:1")) == "<Endpoint a:1 weight=3>"
