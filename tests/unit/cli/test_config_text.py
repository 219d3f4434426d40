import pytest

from lbg.cli.config_text import amended, not_taken_up

NOW = 1_750_068_100.0  # 2025-06-16, 10:01:40 UTC

pytestmark = pytest.mark.usefixtures("utc")


def of(*mistakes, since="2025-06-16T10:01:03Z"):
    return {"source": "/etc/lbg.toml", "error": {"since": since, "mistakes": list(mistakes)}}


@pytest.mark.parametrize(
    ("removed", "added", "text"),
    [
        ([], [], "lbg.toml"),
        (["a/b:1"], [], "lbg.toml, without a/b:1 (lbg remove)"),
        ([], ["a/b:1", "a/c:1"], "lbg.toml, with a/b:1 and a/c:1 (lbg add)"),
        (["a/b"] * 5, ["a/c"], "lbg.toml, without 5 endpoints (lbg remove), with a/c (lbg add)"),
    ],
)
def test_what_was_added_and_removed_is_named(removed, added, text):
    assert amended("lbg.toml", {"added": added, "removed": removed}) == text


def test_several_mistakes_are_counted_and_one_is_told():
    assert not_taken_up(of("x", "y"), NOW) == (
        "/etc/lbg.toml was not taken up since 10:01:03: 2 mistakes, see `lbg reload`"
    )
    assert not_taken_up(of("lbg.toml:3: wrong\x1b"), NOW).endswith("10:01:03: lbg.toml:3: wrong?")


def test_the_date_is_told_when_it_was_another_day():
    assert "since 2025-06-15 10:01:03" in not_taken_up(of("x", since="2025-06-15T10:01:03Z"), NOW)


def test_nothing_is_told_of_a_configuration_in_force():
    assert not_taken_up({"source": "lbg.toml", "error": None}, NOW) == ""
