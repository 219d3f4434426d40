"""Names and passwords."""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from werkzeug.security import generate_password_hash

from lbg.errors import LocalReply
from lbg.filters import basic_auth
from lbg.filters.basic_auth import Checks, credentials
from tests.unit.filters.around import Answer, Filtered

# Weak, so that a check takes no time here.
ANN = generate_password_hash("secret", "scrypt:1024:8:1")
BOB = generate_password_hash("päss:wörd", "pbkdf2:sha256:1")
USERS = {"ann": ANN, "bob": BOB, "zoë": ANN}


def _basic(name: str, password: str, charset: str = "utf-8") -> tuple[str, str]:
    encoded = base64.b64encode(f"{name}:{password}".encode(charset)).decode()
    return ("Authorization", f"Basic {encoded}")


def _ask(*fields: tuple[str, str], **table: Any) -> Answer:
    return Filtered({"use": "basic_auth", "users": USERS, **table}).ask("/", *fields)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give the passwords that are checked against a hash."""
    passwords: list[str] = []
    check = basic_auth.check_password_hash

    def noting(stored: str, password: str) -> bool:
        assert stored in USERS.values()
        passwords.append(password)
        return check(stored, password)

    monkeypatch.setattr(basic_auth, "check_password_hash", noting)
    return iter([passwords])


def test_who_has_a_name_and_its_password_may_pass() -> None:
    answer = _ask(_basic("ann", "secret"))
    assert answer.code == 200
    assert answer.environ["REMOTE_USER"] == "ann"


@pytest.mark.parametrize(
    "field",
    [
        _basic("bob", "päss:wörd"),
        _basic("bob", "päss:wörd", "latin-1"),
        ("Authorization", _basic("bob", "päss:wörd")[1].replace("Basic", "bAsIc  ")),
    ],
)
def test_passwords_may_hold_any_character(field: tuple[str, str]) -> None:
    assert _ask(field).environ["REMOTE_USER"] == "bob"


def test_a_name_is_told_in_utf_8() -> None:
    answer = _ask(_basic("zoë", "secret"), user_header="X-User")
    assert answer.sent("x-user") == ["zoë".encode().decode("latin-1")]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic ",
        "Basic =",
        "Basic YW5uOnNlY3JldA",  # the padding is missing
        "Basic YW5uOnNlY3JldA=",
        "Basic YW5u\xffOnNlY3JldA==",
        "Basic YW5uOnNlY3JldA==\x01",
        "Basic YW5uOnNlY3JldA==, Basic YW5uOnNlY3JldA==",
        "Basic,YW5uOnNlY3JldA==",
        "BasicYW5uOnNlY3JldA==",
        "Bearer YW5uOnNlY3JldA==",
        "Digest username=ann",
        "\xff\xfe",
        "Basic " + "A" * 60_000,
        _basic("ann", "")[1],
        _basic("", "secret")[1],
        _basic("", "")[1],
        _basic("ann", "Secret")[1],
        _basic("ann", "secret ")[1],
        _basic("ann", "secret\0")[1],
        _basic("Ann", "secret")[1],
        _basic("eve", "secret")[1],
        _basic("bob", "secret")[1],
        _basic("zoë", "secret", "latin-1")[1],
        "Basic " + base64.b64encode(b"ann").decode(),
        "Basic " + base64.b64encode(b"\xff\xff:\xff").decode(),
    ],
)
def test_all_others_are_asked_for_a_password(value: str) -> None:
    filtered = Filtered({"use": "basic_auth", "users": USERS, "realm": "The shop"})
    for _ in range(2):
        answer = filtered.ask("/", ("Authorization", value))
        assert (answer.code, answer.reason, filtered.seen) == (401, "unauthorized", [])
        assert answer.values("www-authenticate") == ['Basic realm="The shop", charset="UTF-8"']


def test_a_request_without_credentials_costs_no_check(checked: Iterator[list[str]]) -> None:
    assert _ask().code == 401
    assert next(checked) == []


def test_a_name_that_there_is_not_is_checked_like_one_that_there_is(checked: Iterator[list[str]]) -> None:
    assert _ask(_basic("eve", "guess")).code == 401
    assert next(checked) == ["guess"]


def test_the_backend_does_not_see_the_password() -> None:
    answer = _ask(_basic("ann", "secret"))
    assert answer.sent("authorization") == []
    assert "HTTP_AUTHORIZATION" not in answer.environ


def test_the_backend_may_be_let_see_the_password() -> None:
    assert _ask(_basic("ann", "secret"), keep_authorization=True).sent("authorization")


@pytest.mark.parametrize("name", ["X-User", "x-user", "X_User"])
def test_the_name_is_told_in_place_of_what_the_client_claims(name: str) -> None:
    answer = _ask(_basic("ann", "secret"), (name, "root"), ("Connection", "x-user"), user_header="X-User")
    assert answer.sent("X-User") == ["ann"]
    assert answer.sent("X_User") == []
    assert answer.environ["HTTP_X_USER"] == "ann"
    assert answer.sent("connection") == []


def test_credentials_that_were_right_are_not_checked_again(checked: Iterator[list[str]]) -> None:
    filtered = Filtered({"use": "basic_auth", "users": USERS, "user_header": "X-User"})
    for _ in range(3):
        assert filtered.ask("/", _basic("ann", "secret")).sent("x-user") == ["ann"]
    assert next(checked) == ["secret"]


def test_credentials_that_were_wrong_are_checked_each_time(checked: Iterator[list[str]]) -> None:
    filtered = Filtered({"use": "basic_auth", "users": USERS})
    for _ in range(3):
        assert filtered.ask("/", _basic("ann", "guess")).code == 401
    assert next(checked) == ["guess"] * 3


def test_no_more_than_so_many_credentials_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic_auth, "_REMEMBERED", 3)
    filtered = Filtered({"use": "basic_auth", "users": USERS})
    for spaces in range(10):
        value = _basic("ann", "secret")[1].replace(" ", " " * (spaces + 1))
        assert filtered.ask("/", ("Authorization", value)).code == 200
        assert len(filtered.filter._known) <= 3


def test_what_is_remembered_holds_no_password() -> None:
    filtered = Filtered({"use": "basic_auth", "users": USERS})
    filtered.ask("/", _basic("ann", "secret"))
    (digest,) = filtered.filter._known
    assert len(digest) == 32
    other = Filtered({"use": "basic_auth", "users": USERS})
    other.ask("/", _basic("ann", "secret"))
    assert list(other.filter._known) != [digest]


def test_users_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"# the team\n\nbob:{BOB}\nann:{BOB}\n")
    table = {"file": str(file), "users": {"ann": ANN}}
    assert _ask(_basic("bob", "päss:wörd"), **table).code == 200
    assert _ask(_basic("ann", "secret"), **table).code == 200
    assert _ask(_basic("ann", "päss:wörd"), **table).code == 401


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        ("", "no users"),
        ("# nobody\n", "no users"),
        ("ann\n", "line 1"),
        ("a:b", "line 1"),
    ],
)
def test_a_file_that_holds_no_users_is_a_mistake(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "users"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=message):
        _ask(users={}, file=str(file))


def test_a_hash_that_cannot_be_checked_lets_nobody_in(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(stored: str, password: str) -> bool:
        raise ValueError("memory limit exceeded")

    monkeypatch.setattr(basic_auth, "check_password_hash", fail)
    assert _ask(_basic("ann", "secret")).code == 401
    assert "memory limit exceeded" in caplog.text
    assert ANN not in caplog.text


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Let no check end before the function that this gives was called; it counts those under way."""
    import threading

    go = threading.Event()
    monkeypatch.setattr(basic_auth, "_matches", lambda stored, password: go.wait(10))
    yield go.set
    go.set()


def test_few_checks_run_at_once_and_the_worker_goes_on(held: Callable[[], None]) -> None:
    checks = Checks()
    waiting = [gevent.spawn(checks.matches, "", "") for _ in range(6)]
    gevent.sleep(0)
    begun = time.monotonic()
    gevent.sleep(0.01)
    assert time.monotonic() - begun < 5
    assert (checks._free.counter, checks._waiting) == (0, 4)
    held()
    assert [each.get(timeout=10) for each in waiting] == [True] * 6
    gevent.sleep(0)
    assert (checks._free.counter, checks._waiting) == (basic_auth._AT_ONCE, 0)


def test_too_many_checks_are_refused(held: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic_auth, "_WAITING", 3)
    checks = Checks()
    waiting = [gevent.spawn(checks.matches, "", "") for _ in range(5)]
    gevent.sleep(0)
    with pytest.raises(LocalReply) as raised:
        checks.matches("", "")
    assert (raised.value.status, raised.value.headers) == (429, (("Retry-After", "1"),))
    held()
    gevent.joinall(waiting)


def test_nobody_waits_long_for_a_check(held: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic_auth, "_PATIENCE", 0.01)
    checks = Checks()
    running = [gevent.spawn(checks.matches, "", "") for _ in range(basic_auth._AT_ONCE)]
    gevent.sleep(0)
    with pytest.raises(LocalReply):
        checks.matches("", "")
    assert checks._waiting == 0
    held()
    assert [each.get(timeout=10) for each in running] == [True] * basic_auth._AT_ONCE


def test_a_client_that_leaves_does_not_make_room_before_its_check_ends(held: Callable[[], None]) -> None:
    checks = Checks()
    leaving = [gevent.spawn(checks.matches, "", "") for _ in range(basic_auth._AT_ONCE + 1)]
    gevent.sleep(0)
    gevent.killall(leaving)
    assert (checks._free.counter, checks._waiting) == (0, 0)
    held()
    assert checks.matches("", "") is True


def test_a_refusal_for_lack_of_room_reaches_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(basic_auth, "_WAITING", 0)
    answer = _ask(_basic("ann", "secret"))
    assert (answer.code, answer.reason, answer.values("retry-after")) == (429, "rate_limited", ["1"])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Basic YTpi", (b"a", "b")),
        (b"basic  YTpi  ", (b"a", "b")),
        (b"Basic YTpiOmM=", (b"a", "b:c")),
        (b"Basic YTo=", (b"a", "")),
        (b"Basic OmI=", None),
        (b"Basic YQ==", None),
        (b"Basic YTp\xff", None),
    ],
)
def test_credentials_are_taken_apart_at_the_first_colon(raw: bytes, expected: object) -> None:
    assert credentials(raw) == expected
