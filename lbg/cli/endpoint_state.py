"""`lbg drain`, `ready`, `maint` and `weight`: what an operator changes of one endpoint while lbg runs."""

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from lbg.cli.asking import Admin, Token, ask

if TYPE_CHECKING:
    from lbg.cli.admin_client import AdminClient

_POOLS = "/api/v1/pools"
_HELD = {"drain": "draining", "maint": "in maintenance"}

Endpoint = Annotated[
    str, typer.Argument(metavar="POOL/ENDPOINT", help="As in `lbg status`; the only pool may be left out.")
]


def drain(endpoint: Endpoint, admin: Admin = None, token: Token = None) -> None:
    """Send an endpoint no new clients.

    What is in flight goes on, and clients with its sticky cookie stay.
    """
    _set_state("drain", endpoint, admin, token)


def maint(endpoint: Endpoint, admin: Admin = None, token: Token = None) -> None:
    """Send an endpoint no requests at all.

    What is in flight goes on, and so do its health checks.
    """
    _set_state("maint", endpoint, admin, token)


def ready(endpoint: Endpoint, admin: Admin = None, token: Token = None) -> None:
    """Send an endpoint requests again, after `drain` or `maint`."""
    _set_state("ready", endpoint, admin, token)


def weight(
    endpoint: Endpoint,
    number: Annotated[int, typer.Argument(metavar="N", help="From 1 to 1000.")],
    admin: Admin = None,
    token: Token = None,
) -> None:
    """Give an endpoint another weight than the configured one.

    It holds over reloads; giving it the configured weight ends that.
    """
    _change("weight", endpoint, {"weight": number}, admin, token)


def _set_state(state: str, endpoint: str, admin: str | None, token: str | None) -> None:
    _change(state, endpoint, {"state": state}, admin, token)


def _change(command: str, name: str, change: dict[str, object], admin: str | None, token: str | None) -> None:
    """Have one endpoint changed, and print what it is like then."""
    from lbg.cli.admin_client import plain

    (key,) = change

    def changed(client: "AdminClient") -> str:
        pool, endpoint = _divided(name, list(client.document(_POOLS)))
        document = client.send(f"{_POOLS}/{_quoted(pool)}/endpoints/{_quoted(endpoint)}/{key}", change)
        return _weight_line(document) if key == "weight" else _state_line(document)

    typer.echo(plain(ask(command, changed, admin, token)))


def _divided(name: str, pools: list[str]) -> tuple[str, str]:
    """Return pool and endpoint of `name`, in which the only pool may be left out. Raises AdminError."""
    from lbg.cli.admin_client import AdminError

    pool, slash, endpoint = name.partition("/")
    if slash and pool in pools:
        return pool, endpoint
    if len(pools) == 1:
        return pools[0], name
    raise AdminError(f"expected POOL/ENDPOINT with one of the pools {', '.join(pools)}, got {name}")


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _state_line(document: dict[str, Any]) -> str:
    name = f"{document['pool']}/{document['name']}"
    if document["admin"] == "ready":
        return f"{name} is ready: {document['state'].upper()}, {document['reason']}"
    return f"{name} is {_HELD[document['admin']]}: {document['in_flight']:d} requests in flight"


def _weight_line(document: dict[str, Any]) -> str:
    weight, configured = document["weight"], document["configured_weight"]
    past = "as configured" if weight == configured else f"configured is {configured:d}"
    return f"{document['pool']}/{document['name']} has weight {weight:d}, {past}"
