"""The examples of docs/python.md run as they stand, but for the addresses of the backends."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import RawResponse, fetch
from tests.support.handlers import answer, echo
from tests.support.lbg import ROOT, LbgProcess

PAGE = (ROOT / "docs" / "python.md").read_text()


def _example(name: str) -> tuple[str, str]:
    """Return the Python and the configuration of an example, by the file name in its first line."""
    found = re.search(rf"```python\n(# {name}\.py\n.*?)```\n\n```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"docs/python.md has no example {name}"
    return found[1], found[2]


@pytest.fixture
def example(lbg: StartLbg, tmp_path: Path):
    """Return what starts lbg with an example in front of these backends."""

    def start(name: str, *backends: Backend) -> LbgProcess:
        code, config = _example(name)
        for number, backend in enumerate(backends, 1):
            place = backend.url.removeprefix("http://")
            code = code.replace(f"127.0.0.1:800{number}", place)
            config = config.replace(f"127.0.0.1:800{number}", place)
        modules = tmp_path / "modules"
        modules.mkdir()
        (modules / f"{name}.py").write_text(code)
        return lbg(config, env={"PYTHONPATH": str(modules)})

    return start


def _user(running: LbgProcess, user: str) -> bytes:
    return fetch(running.address, headers=[("Host", "a"), ("Cookie", f"user={user}")]).body


def test_the_policy_gives_a_tenth_of_the_users_to_the_new_version_and_keeps_them_there(example) -> None:
    with Backend(answer(body=b"old")) as old, Backend(answer(body=b"new")) as new:
        running = example("experiment", old, new)
        first = {user: _user(running, user) for user in map(str, range(100))}
        again = {user: _user(running, user) for user in first}
    assert again == first
    assert 3 <= list(first.values()).count(b"new") <= 20


def test_the_policy_falls_back_to_the_old_version_when_the_new_one_is_gone(example) -> None:
    with Backend(answer(body=b"old")) as old, Backend(answer(body=b"new")) as new:
        running = example("experiment", old, new)
        user = next(user for user in map(str, range(100)) if _user(running, user) == b"new")
        new.stop()
        assert _user(running, user) == b"old"


def _as_tenant(running: LbgProcess, key: str) -> int:
    return fetch(running.address, headers=[("Host", "a"), ("X-Api-Key", key)]).status


def test_the_key_gives_each_tenant_a_limit_of_its_own(example) -> None:
    with Backend() as backend:
        running = example("tenants", backend)
        acme = [_as_tenant(running, "k-7f3a") for _ in range(7)]
        globex = [_as_tenant(running, "k-91bc") for _ in range(5)]
        nobody = [_as_tenant(running, f"guess-{number}") for number in range(7)]
    assert acme == [200] * 5 + [429] * 2
    assert globex == [200] * 5
    assert nobody == [200] * 5 + [429] * 2


def _ask(running: LbgProcess, body: bytes) -> RawResponse:
    return fetch(running.address, "/v1/completions", method="POST", body=body)


@pytest.mark.parametrize(
    ("body", "pool"),
    [
        (b'{"model": "huge", "prompt": "hi"}', "large"),
        (b'{"model": "tiny"}', "small"),
        (b'{"model": "unheard of"}', "small"),
        (b"[1]", "small"),
        (b"no json \xff", "small"),
        (b"", "small"),
    ],
)
def test_the_filter_chooses_the_pool_by_the_model_and_passes_the_body_whole(
    example, body: bytes, pool: str
) -> None:
    with Backend(echo()) as small, Backend(echo()) as large:
        running = example("models", small, large)
        told = json.loads(_ask(running, body).body)
        assert told["body"] == body.decode("latin-1")
        assert [len(small.requests), len(large.requests)] == ([1, 0] if pool == "small" else [0, 1])


def test_the_filter_is_protected_from_bodies_that_are_too_large(example) -> None:
    with Backend(echo()) as small, Backend(echo()) as large:
        running = example("models", small, large)
        assert _ask(running, b"x" * 1_000_001).status == 413
        assert not small.requests
        assert not large.requests
