"""Explainers of configurations, with cells whose rows tests write."""

from dataclasses import dataclass, field
from typing import Any

from lbg.config.schema import Config
from lbg.http.headers import ResponseRules
from lbg.proxy.explain import Explainer
from lbg.proxy.route_document import route_document
from lbg.routing.table import RouteTable, routes_of
from lbg.state.cells import Cells
from lbg.state.layout import Admin, Ejection, Field, Health, HealthField, counters, health_row
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.idle import IdleConnections
from lbg.upstream.policies import policy_of
from lbg.upstream.pool import Pool
from lbg.upstream.tally import PoolTally

POOL: dict[str, Any] = {
    "endpoints": ["http://a:1", "http://b:2"],
    "balance": "hash",
    "hash_key": "header:X-Key",
}


@dataclass
class Explained:
    """A configuration and who answers about it; the endpoints have slots in the order of the file."""

    config: Config
    live: bool = True
    cells: Cells = field(default_factory=Cells.private)

    def __post_init__(self) -> None:
        self.cells.register(0, 4711, 0, 1)
        slots = iter(range(100))
        self.pools = {
            name: Pool(
                name,
                pool,
                tuple(
                    Endpoint(one, IdleConnections(pool.connections), self.cells, slot=next(slots), worker=0)
                    for one in pool.endpoints
                ),
                policy_of(name, pool, serves=False),
                ResponseRules(underscores=False),
                PoolTally(self.cells, slot=number, worker=0),
            )
            for number, (name, pool) in enumerate(self.config.pools.items())
        }
        self.table = RouteTable(routes_of(self.config.routes))
        self.explainer = Explainer(self.config, self.table, self.pools, self.cells, live=self.live)

    def documents(self) -> list[dict[str, Any]]:
        """Return the documents of all routes in order of precedence."""
        return [route_document(route) for route in self.table.routes]

    def set_health(self, slot: int, **fields: Health | Ejection | Admin) -> None:
        """Write fields of the row of an endpoint."""
        for name, number in fields.items():
            self.cells.view[health_row(slot) + HealthField[name.upper()]] = number

    def set_in_flight(self, slot: int, number: int) -> None:
        """Let an endpoint have requests in flight."""
        self.cells.view[counters(0, slot) + Field.IN_FLIGHT] = number

    def ask(self, method: str, url: str, *headers: str, client: str = "") -> dict[str, Any]:
        """Return the document on a request."""
        return self.explainer.explain(method, url, headers, client)


def explained(
    *routes: dict[str, Any], pools: dict[str, Any] | None = None, live: bool = True, **server: Any
) -> Explained:
    """Return who answers about these routes; they lead to the pool "main" unless told."""
    complete = [route if _leads(route) else {"pool": "main", **route} for route in routes]
    data = {"server": server, "pools": pools or {"main": POOL}, "routes": complete}
    return Explained(Config.model_validate(data), live=live)


def _leads(route: dict[str, Any]) -> bool:
    return any(key in route for key in ("pool", "split", "redirect", "respond"))
