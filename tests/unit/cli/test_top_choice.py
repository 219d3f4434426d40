from hypothesis import given
from hypothesis import strategies as st

from lbg.cli.top_choice import choose, name_of

STATES = ("up", "down", "ejected", "trial", "draining", "maint", "stale", "unknown", "unchecked")


def pools_of(**pools):
    """Return pools whose endpoints are named by their state and a number."""
    return {
        pool: {
            "endpoints": [
                {"pool": pool, "name": f"{state}{number}", "state": state}
                for number, state in enumerate(states)
            ]
        }
        for pool, states in pools.items()
    }


def names(chosen):
    return {pool: [endpoint["name"] for endpoint in endpoints] for pool, endpoints in chosen.items()}


def test_all_are_in_the_order_of_the_configuration_when_they_fit():
    pools = pools_of(b=["up", "down"], a=["up"])
    for rows in (5, 6, None):
        assert list(choose(pools, {}, rows)) == ["b", "a"]
        assert names(choose(pools, {}, rows)) == {"b": ["up0", "down1"], "a": ["up0"]}


def test_the_worst_states_come_first_where_there_is_no_room():
    chosen = choose(pools_of(a=STATES), {}, len(STATES))
    assert names(chosen)["a"] == [
        "down1",
        "ejected2",
        "trial3",
        "stale6",
        "unknown7",
        "draining4",
        "maint5",
        "up0",
    ]


def test_of_the_same_state_errors_and_then_latency_decide():
    numbers = {
        "a/up0": {"requests_per_second": 1.0, "error_rate": 0.0, "p95_ms": 10.0},
        "a/up1": {"requests_per_second": 1.0, "error_rate": 0.0, "p95_ms": 900.0},
        "a/up2": {"requests_per_second": 100.0, "error_rate": 0.1, "p95_ms": 1.0},
        "a/up3": {"requests_per_second": 1.0, "error_rate": 1.0, "p95_ms": 1.0},
        "a/up4": {"requests_per_second": None, "error_rate": None, "p95_ms": None},
    }
    pools = pools_of(a=["up"] * 6)
    assert names(choose(pools, numbers, 6))["a"] == ["up2", "up3", "up1", "up0", "up4"]


def test_a_pool_without_a_bad_endpoint_makes_room_for_others():
    pools = pools_of(good=["up"] * 5, bad=["down"] * 5)
    assert names(choose(pools, {}, 4)) == {"bad": ["down0", "down1", "down2"]}


def test_there_is_no_heading_without_an_endpoint_below():
    assert names(choose(pools_of(a=["down"], b=["down"]), {}, 3)) == {"a": ["down0"]}


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from(STATES), min_size=1, max_size=8)),
    st.integers(0, 40),
)
def test_no_more_rows_are_taken_than_there_are(pools, rows):
    pools = pools_of(**pools)
    chosen = choose(pools, {}, rows)
    assert len(chosen) + sum(map(len, chosen.values())) <= rows
    every = [name_of(endpoint) for endpoints in chosen.values() for endpoint in endpoints]
    assert len(set(every)) == len(every)
    assert all(chosen.values())
