"""What an operator can change of endpoints over the admin listener, and what is refused."""

import json
from io import BytesIO
from typing import Any

import pytest

from lbg.errors import ClientGone, RequestError
from lbg.health.monitor import NotInCharge
from lbg.state.layout import Admin
from tests.unit.control.control_app import Answer, app, cells_of, set_health

STATE = "/api/v1/pools/web/endpoints/b:2/state"
WEIGHT = "/api/v1/pools/web/endpoints/b:2/weight"


class Noted:
    """Stands for the control worker: notes what it is told, or refuses it."""

    def __init__(self, *, in_charge: bool = True) -> None:
        self.cells = cells_of()
        self.told: list[tuple[int, object]] = []
        self._in_charge = in_charge

    def set_admin(self, slot: int, admin: Admin) -> None:
        """Write it to the row."""
        self._note(slot, admin)
        set_health(self.cells, slot, admin=admin)

    def set_weight(self, slot: int, weight: int) -> None:
        """Write it to the row."""
        self._note(slot, weight)
        set_health(self.cells, slot, weight=weight)

    def _note(self, slot: int, what: object) -> None:
        if not self._in_charge:
            raise NotInCharge
        self.told.append((slot, what))


def post(
    noted: Noted | None,
    path: str,
    body: object,
    *,
    kind: str = "application/json",
    method: str = "POST",
    token: str = "",
    **environ: Any,
) -> Answer:
    """Return the answer to a change; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(
        app(token=token, cells=noted.cells if noted else None, changes=noted),
        path,
        REQUEST_METHOD=method,
        CONTENT_TYPE=kind,
        CONTENT_LENGTH=str(len(data)),
        **{"wsgi.input": BytesIO(data)} | environ,
    )


@pytest.fixture
def noted() -> Noted:
    """Give what stands for the control worker."""
    return Noted()


@pytest.mark.parametrize("state", ["ready", "drain", "maint"])
def test_a_state_is_set_and_the_endpoint_shown(noted: Noted, state: str) -> None:
    answer = post(noted, STATE, {"state": state})
    assert (answer.status, noted.told) == (200, [(0, Admin[state.upper()])])
    assert (answer.document["name"], answer.document["admin"]) == ("b:2", state)


@pytest.mark.parametrize("weight", [1, 7, 1000])
def test_a_weight_is_set_and_the_endpoint_shown(noted: Noted, weight: int) -> None:
    answer = post(noted, WEIGHT, {"weight": weight})
    assert (answer.status, noted.told, answer.document["weight"]) == (200, [(0, weight)], weight)


@pytest.mark.parametrize("name", ["b:2", "http://b:2", "B:2"])
def test_an_endpoint_is_named_by_address_or_url(noted: Noted, name: str) -> None:
    assert post(noted, f"/api/v1/pools/web/endpoints/{name}/state", {"state": "drain"}).status == 200
    assert noted.told == [(0, Admin.DRAIN)]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/api/v1/pools/no/endpoints/a:1/state", 'There is no pool "no". There is: web, api.'),
        ("/api/v1/pools/no/endpoints/a:1/weight", 'There is no pool "no". There is: web, api.'),
        (
            "/api/v1/pools/web/endpoints/c\x1b:1/state",
            'There is no endpoint "c\\u001b:1" in the pool web. There is: a:1, b:2.',
        ),
        (
            "/api/v1/pools/api/endpoints/b:2/weight",
            'There is no endpoint "b:2" in the pool api. There is: a:1.',
        ),
    ],
)
def test_what_there_is_not_is_a_problem_that_names_what_there_is(
    noted: Noted, path: str, detail: str
) -> None:
    answer = post(noted, path, {"state": "drain"})
    assert (answer.status, answer.document["detail"]) == (404, detail)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"state": "up"}, 'state: expected one of "ready", "drain", "maint", got "up".'),
        ({"state": "DRAIN"}, 'state: expected one of "ready", "drain", "maint", got "DRAIN".'),
        ({"state": 1}, 'state: expected one of "ready", "drain", "maint", got 1.'),
        ({"state": None}, 'state: expected one of "ready", "drain", "maint", got null.'),
        ({"state": ["drain"]}, 'state: expected one of "ready", "drain", "maint", got a list.'),
        ({}, 'Expected a JSON object with "state" and nothing else.'),
        ({"state": "drain", "weight": 1}, 'Expected a JSON object with "state" and nothing else.'),
        (["state"], 'Expected a JSON object with "state" and nothing else.'),
        ("drain", 'Expected a JSON object with "state" and nothing else.'),
        (b"", "The body is not JSON."),
        (b"state=drain", "The body is not JSON."),
        (b'{"state": "drain"', "The body is not JSON."),
        (b"\xff\xfe\xff", "The body is not JSON."),
        (b"[" * 1024, "The body is not JSON."),
    ],
)
def test_another_body_for_a_state_is_told_what_was_expected(noted: Noted, body: object, detail: str) -> None:
    answer = post(noted, STATE, body)
    assert (answer.status, answer.document["detail"], noted.told) == (400, detail, [])


@pytest.mark.parametrize(
    ("weight", "got"),
    [
        (0, '0. For no new requests set the state "drain".'),
        (-1, "-1."),
        (1001, "1001."),
        (10**30, "a number too large."),
        (1.0, "1.0."),
        (True, "true."),
        ("5", '"5".'),
        (None, "null."),
    ],
)
def test_another_weight_is_told_what_was_expected(noted: Noted, weight: object, got: str) -> None:
    answer = post(noted, WEIGHT, {"weight": weight})
    expected = f"weight: expected a whole number from 1 to 1000, got {got}"
    assert (answer.status, answer.document["detail"], noted.told) == (400, expected, [])


@pytest.mark.parametrize(
    "kind",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json"],
)
def test_what_a_foreign_page_could_have_sent_is_refused(noted: Noted, kind: str) -> None:
    answer = post(noted, STATE, {"state": "maint"}, kind=kind)
    assert (answer.status, noted.told) == (415, [])
    assert answer.document["detail"] == "Send a body of the type application/json."


def test_the_type_may_have_parameters(noted: Noted) -> None:
    assert post(noted, STATE, {"state": "maint"}, kind="Application/JSON; charset=utf-8").status == 200


def test_a_long_body_is_not_read(noted: Noted) -> None:
    answer = post(noted, STATE, b" " * 1025)
    assert (answer.status, answer.document["detail"]) == (413, "The body has more than 1024 bytes.")


@pytest.mark.parametrize("noted", [None, Noted(in_charge=False)], ids=["no control worker", "not in charge"])
def test_who_is_not_in_charge_says_to_try_again(noted: Noted | None) -> None:
    for path, body in ((STATE, {"state": "drain"}), (WEIGHT, {"weight": 5})):
        answer = post(noted, path, body)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert "please try again" in answer.document["detail"]


@pytest.mark.parametrize("path", [STATE, WEIGHT])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_nothing_but_a_post_changes_anything(noted: Noted, path: str, method: str) -> None:
    answer = post(noted, path, {"state": "drain"}, method=method)
    assert (answer.status, noted.told) == (405, [])
    assert answer.headers["Allow"] == "OPTIONS, POST"
    assert answer.document["detail"] == "This path takes OPTIONS, POST."


def test_strangers_change_nothing(noted: Noted) -> None:
    assert post(noted, STATE, {"state": "drain"}, token="secret").status == 401
    assert noted.told == []
    given = {"HTTP_AUTHORIZATION": "Bearer secret"}
    assert post(noted, STATE, {"state": "drain"}, token="secret", **given).status == 200


def test_no_cache_keeps_an_answer(noted: Noted) -> None:
    assert post(noted, STATE, {"state": "drain"}).headers["Cache-Control"] == "no-store"


class Failing(BytesIO):
    """A body that stops coming."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        """Raise what a body raises that does not come."""
        raise self._error


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (ClientGone("the client closed the connection"), 400, "The body did not come whole."),
        (
            RequestError("client_body_timeout", "It stopped coming for 30 s."),
            408,
            "It stopped coming for 30 s.",
        ),
    ],
)
def test_a_body_that_does_not_come_is_nothing_for_the_log(
    noted: Noted, caplog: pytest.LogCaptureFixture, error: Exception, status: int, detail: str
) -> None:
    answer = post(noted, STATE, b"{}", **{"wsgi.input": Failing(error)})
    assert (answer.status, answer.document["detail"]) == (status, detail)
    assert (noted.told, caplog.records) == ([], [])
