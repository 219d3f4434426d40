"""What one configuration has that another one has not."""

from typing import Any

from lbg.config.difference import difference, with_held
from lbg.config.schema import Config


def config(pools: dict[str, Any], routes: list[dict[str, Any]] | None = None, **sections: Any) -> Config:
    """Return a configuration."""
    first = next(iter(pools))
    return Config.model_validate({"pools": pools, "routes": routes or [{"pool": first}], **sections})


A = {"endpoints": ["http://a:1"]}


def test_equal_configurations_differ_in_nothing() -> None:
    found = difference(config({"web": A}), config({"web": A}))
    assert not found
    assert str(found) == "nothing changed"


def test_everything_that_changed_is_named() -> None:
    before = config({"web": A, "old": A})
    after = config(
        {"web": {"endpoints": ["http://b:2", "http://c:3"]}, "new": A}, [{"pool": "new", "path": "/x"}]
    )
    found = difference(before, after)
    assert (found.pools_added, found.pools_removed, found.pools_changed) == (("new",), ("old",), ("web",))
    assert found.endpoints_added == ("web/b:2", "web/c:3", "new/a:1")
    assert found.endpoints_removed == ("web/a:1", "old/a:1")
    assert str(found) == (
        "1 pool added, 1 pool removed, 1 pool changed, 3 endpoints added, 2 endpoints removed, routes changed"
    )


def test_what_workers_take_up_at_their_start_waits() -> None:
    before = config({"web": A})
    after = config({"web": A}, server={"header_timeout": 3.0}, log={"level": "debug"})
    found = difference(before, after)
    assert found.waiting == ("server.header_timeout", "log.level")
    assert not found
    assert with_held(before, after) == before
    assert str(found) == "nothing else changed; server.header_timeout, log.level wait for kill -HUP"


def test_addresses_wait_for_a_restart() -> None:
    found = difference(config({"web": A}), config({"web": A}, server={"bind": [":1"]}))
    assert (found.waiting, found.restart) == ((), ("server.bind",))
    assert not found
    assert str(found) == "nothing else changed; server.bind waits for a restart"


def test_what_waits_is_told_behind_what_changed() -> None:
    after = config({"new": A, "web": A}, [{"pool": "web"}], admin={"bind": "127.0.0.1:7", "watch": False})
    assert str(difference(config({"web": A}), after)) == (
        "1 pool added, 1 endpoint added; admin.watch waits for kill -HUP; admin.bind waits for a restart"
    )
