"""What the admin API changes of endpoints: their admin state and their weight, while lbg runs."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

from flask import Flask, Response, jsonify

from lbg.config.problems import shown
from lbg.control.body import LONGEST, json_object
from lbg.control.problem import Refusal, problem
from lbg.health.monitor import NotInCharge
from lbg.state.layout import MAX_WEIGHT, Admin

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.control.documents import Documents

_STATES: Final = {admin.name.lower(): admin for admin in Admin}
_ENDPOINT: Final = "/api/v1/pools/<pool>/endpoints/<path:endpoint>"


class Changes(Protocol):
    """Whoever writes the rows of endpoints, by their slots. Raises NotInCharge."""

    def set_admin(self, slot: int, admin: Admin) -> None: ...

    def set_weight(self, slot: int, weight: int) -> None: ...


def add_endpoint_actions(app: Flask, documents: Documents, changes: Changes | None) -> None:
    """Register the paths; without `changes`, as in a process that does not control, all is refused."""

    @app.post(f"{_ENDPOINT}/state")
    def set_state(pool: str, endpoint: str) -> Response:
        slot = _slot(documents, pool, endpoint)
        admin = _admin(_given("state"))
        _make(lambda: _in_charge(changes).set_admin(slot, admin))
        return jsonify(documents.endpoint(pool, slot))

    @app.post(f"{_ENDPOINT}/weight")
    def set_weight(pool: str, endpoint: str) -> Response:
        slot = _slot(documents, pool, endpoint)
        weight = _weight(_given("weight"))
        _make(lambda: _in_charge(changes).set_weight(slot, weight))
        return jsonify(documents.endpoint(pool, slot))

    @app.errorhandler(Refusal)
    def refuse(refusal: Refusal) -> Response:
        return refusal.response

    @app.errorhandler(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    def refuse_length(_: Exception) -> Response:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return problem(status, status.phrase, f"The body has more than {LONGEST} bytes.")


def _slot(documents: Documents, pool: str, endpoint: str) -> int:
    pools = documents.pool_names()
    if pool not in pools:
        raise Refusal(HTTPStatus.NOT_FOUND, f"There is no pool {shown(pool)}. There is: {', '.join(pools)}.")
    slot = documents.slot(pool, endpoint)
    if slot is None:
        there = ", ".join(documents.endpoint_names(pool))
        raise Refusal(
            HTTPStatus.NOT_FOUND,
            f"There is no endpoint {shown(endpoint)} in the pool {pool}. There is: {there}.",
        )
    return slot


def _given(key: str) -> Any:
    """Return what the body says for `key`, its only one."""
    expected = f'Expected a JSON object with "{key}" and nothing else.'
    document = json_object(expected)
    if document.keys() != {key}:
        raise Refusal(HTTPStatus.BAD_REQUEST, expected)
    return document[key]


def _admin(value: object) -> Admin:
    admin = _STATES.get(value) if isinstance(value, str) else None
    if admin is None:
        expected = ", ".join(f'"{state}"' for state in _STATES)
        raise Refusal(HTTPStatus.BAD_REQUEST, f"state: expected one of {expected}, got {shown(value)}.")
    return admin


def _weight(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WEIGHT:
        hint = ' For no new requests set the state "drain".' if value == 0 else ""
        raise Refusal(
            HTTPStatus.BAD_REQUEST,
            f"weight: expected a whole number from 1 to {MAX_WEIGHT}, got {shown(value)}.{hint}",
        )
    return value


def _in_charge(changes: Changes | None) -> Changes:
    if changes is None:
        raise NotInCharge
    return changes


def _make(change: Callable[[], None]) -> None:
    try:
        change()
    except NotInCharge:
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Another control worker is in charge while lbg reloads or upgrades; please try again.",
        ) from None
