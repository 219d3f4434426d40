"""What the admin API changes of the configuration: reading it again, and endpoints of its pools."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, jsonify

from lbg.config.amendments import endpoint_of
from lbg.config.problems import ConfigError, shown
from lbg.control.body import json_object
from lbg.control.live_config import Conflict, Unknown
from lbg.control.problem import Refusal, problem
from lbg.health.monitor import NotInCharge
from lbg.net.address import canonical_endpoint
from lbg.state.layout import NoSlot
from lbg.state.publication import Unpublished

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.problems import Problem
    from lbg.control.live_config import Change, LiveConfig

_ENDPOINTS: Final = "/api/v1/pools/<pool>/endpoints"


def add_config_actions(app: Flask, live: LiveConfig | None) -> None:
    """Register the paths; without `live`, as in a process that does not control, all is refused."""

    @app.post("/api/v1/reload")
    def reload() -> Response:
        try:
            change = _made(lambda: _in_charge(live).reload())
        except ConfigError as error:
            return _unprocessable(error)
        return jsonify(_document(change))

    @app.post(_ENDPOINTS)
    def add_endpoint(pool: str) -> Response:
        data = json_object()
        try:
            endpoint = endpoint_of(data)
        except ValueError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{error}.") from None
        response = jsonify(_document(_made(lambda: _in_charge(live).add(pool, endpoint))))
        response.status_code = HTTPStatus.CREATED
        return response

    @app.delete(f"{_ENDPOINTS}/<path:endpoint>")
    def remove_endpoint(pool: str, endpoint: str) -> Response:
        address = canonical_endpoint(endpoint)
        if address is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"{shown(endpoint)} is no address of an endpoint.")
        return jsonify(_document(_made(lambda: _in_charge(live).remove(pool, address))))


def _in_charge(live: LiveConfig | None) -> LiveConfig:
    if live is None:
        raise NotInCharge
    return live


def _made(change: Callable[[], Change]) -> Change:
    try:
        return change()
    except Unknown as error:
        raise Refusal(HTTPStatus.NOT_FOUND, str(error)) from None
    except Conflict as error:
        raise Refusal(HTTPStatus.CONFLICT, str(error)) from None
    except NotInCharge:
        detail = "Another control worker is in charge while lbg reloads or upgrades; please try again."
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail) from None
    except Unpublished as error:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"Nothing was changed: {error}.") from None
    except NoSlot as error:
        raise Refusal(HTTPStatus.CONFLICT, f"Nothing was changed: {error}.") from None
    except OSError as error:
        detail = f"Nothing was changed: {error.filename or 'the state directory'}: {error.strerror or error}."
        raise Refusal(HTTPStatus.INSUFFICIENT_STORAGE, detail) from None


def _unprocessable(error: ConfigError) -> Response:
    count = len(error.problems)
    detail = f"The configuration was not changed, it has {count} mistake{'' if count == 1 else 's'}."
    response = problem(HTTPStatus.UNPROCESSABLE_ENTITY, "Unprocessable Content", detail)
    document: dict[str, Any] = response.get_json()
    response.set_data(jsonify(document | {"errors": [_mistake(one) for one in error.problems]}).get_data())
    return response


def _mistake(one: Problem) -> dict[str, Any]:
    return {"where": one.where, "line": one.line, "key": one.key, "message": one.message, "text": str(one)}


def _document(change: Change) -> dict[str, Any]:
    snapshot, found = change.published.snapshot, change.difference
    return {
        "generation": snapshot.generation,
        "digest": snapshot.digest,
        "source": snapshot.source,
        "changed": bool(found),
        "summary": str(found),
        "pools": {
            "added": found.pools_added,
            "removed": found.pools_removed,
            "changed": found.pools_changed,
        },
        "endpoints": {"added": found.endpoints_added, "removed": found.endpoints_removed},
        "routes_changed": found.routes_changed,
        "waiting_for_hup": found.waiting,
        "waiting_for_restart": found.restart,
        "amendments": change.published.amendments.names(),
    }
