"""Endpoints added and removed at run time, laid over a configuration."""

import pytest

from lbg.config.amendments import Amendments, endpoint_of
from lbg.config.problems import ConfigError
from lbg.config.schema import Config


def config(*endpoints: object, **pool: object) -> Config:
    """Return a configuration with one pool, `web`."""
    return Config.model_validate(
        {"pools": {"web": {"endpoints": list(endpoints), **pool}}, "routes": [{"pool": "web"}]}
    )


def urls(amended: Config) -> list[str]:
    """Return the endpoints of the pool."""
    return [endpoint.url for endpoint in amended.pools["web"].endpoints]


C = endpoint_of({"url": "http://c:3", "weight": 4})


def test_without_any_the_configuration_is_the_same_object() -> None:
    plain = config("http://a:1")
    assert Amendments().amended(plain) is plain
    assert not Amendments()


def test_one_is_added_behind_the_configured_and_keeps_its_weight() -> None:
    amended = Amendments().with_added("web", C).amended(config("http://a:1"))
    assert urls(amended) == ["http://a:1", "http://c:3"]
    assert amended.pools["web"].endpoints[1].weight == 4


def test_they_are_named_with_their_pool() -> None:
    amendments = Amendments().with_added("web", C).with_removed("web", "a:1").with_removed("api", "a:1")
    assert amendments.names() == {"added": ["web/c:3"], "removed": ["web/a:1", "api/a:1"]}


def test_one_is_removed() -> None:
    amended = Amendments().with_removed("web", "a:1").amended(config("http://a:1", "http://b:2"))
    assert urls(amended) == ["http://b:2"]


def test_adding_takes_back_a_removal() -> None:
    added = Amendments().with_removed("web", "c:3").with_added("web", C)
    assert urls(added.amended(config("http://a:1"))) == ["http://a:1", "http://c:3"]
    assert urls(added.amended(config("http://c:3"))) == ["http://c:3"]


def test_removing_what_was_only_added_leaves_nothing_behind() -> None:
    assert not Amendments().with_added("web", C).with_removed("web", "c:3")


def test_what_the_configuration_names_stays_removed_when_it_was_added_meanwhile() -> None:
    gone = Amendments().with_removed("web", "c:3")
    assert gone.with_added("web", C).with_removed("web", "c:3") == gone


def test_what_was_added_again_is_not_told_as_removed() -> None:
    added = Amendments().with_removed("web", "c:3").with_added("web", C)
    assert added.names() == {"added": ["web/c:3"], "removed": []}


def test_what_the_configuration_names_is_settled_when_it_is_added_again() -> None:
    added = Amendments().with_removed("web", "c:3").with_added("web", C)
    assert not added.settled(config("http://c:3"))


def test_adding_or_removing_twice_is_as_once() -> None:
    once = Amendments().with_added("web", C)
    assert once.with_added("web", C) == once
    gone = Amendments().with_removed("web", "a:1")
    assert gone.with_removed("web", "a:1") == gone


def test_what_is_configured_meanwhile_is_as_configured() -> None:
    amended = Amendments().with_added("web", C).amended(config("http://a:1", "http://c:3"))
    assert urls(amended) == ["http://a:1", "http://c:3"]
    assert amended.pools["web"].endpoints[1].weight == 1


def test_what_the_configuration_says_by_itself_is_settled() -> None:
    amendments = Amendments().with_added("web", C).with_removed("web", "b:2")
    assert amendments.settled(config("http://a:1", "http://b:2")) == amendments
    assert not amendments.settled(config("http://a:1", "http://c:3"))


def test_what_is_of_a_pool_that_is_gone_is_settled() -> None:
    assert not Amendments().with_added("api", C).settled(config("http://a:1"))


@pytest.mark.parametrize(
    ("amendments", "message"),
    [
        (
            Amendments().with_removed("web", "a:1"),
            "expected at least one entry, got none; `lbg add web http://a:1` brings one back",
        ),
        (
            Amendments()
            .with_added("web", endpoint_of({"url": "http://c:3", "backup": True}))
            .with_removed("web", "a:1"),
            "every endpoint is a backup, expected at least one that is not",
        ),
    ],
)
def test_what_does_not_fit_is_a_mistake_of_the_pool(amendments: Amendments, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        amendments.amended(config("http://a:1"))
    (problem,) = caught.value.problems
    assert (problem.key, problem.message) == ("pools.web.endpoints", message)


def test_they_survive_as_json() -> None:
    amendments = Amendments().with_added("web", C).with_removed("web", "b:2")
    assert Amendments.model_validate_json(amendments.model_dump_json()) == amendments


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("ftp://a", 'url: expected the scheme http or unix, got "ftp"'),
        ({"url": "http://a", "weight": 0}, "weight: expected at least 1, got 0"),
        ({"weight": 1}, "url: missing, this key is required"),
        ({"url": "http://a", "wieght": 2}, "wieght: unknown key"),
        (3, "expected a URL or a table with url and weight, got 3"),
    ],
)
def test_what_is_no_endpoint_is_told_in_a_sentence(data: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        endpoint_of(data)
    assert str(caught.value) == message
