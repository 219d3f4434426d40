import pytest

from lbg import __version__


def test_version(command):
    assert command("--version") == (0, f"lbg {__version__}\n", "")


def test_without_arguments_the_help_is_printed(command):
    status, out, err = command()
    assert (status, err) == (0, "")
    assert all(
        name in out
        for name in ("check", "run", "demo", "status", "events", "drain", "ready", "maint", "weight")
    )


def test_the_help_tells_each_command_in_a_whole_sentence(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    commands = command("--help")[1].partition("Commands:\n")[2].splitlines()
    assert len(commands) > 10
    assert [line for line in commands if line.endswith("...") or not line.endswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["chek"], "check"),
        (["run", "--foo"], "--foo"),
        (["run", "--workers"], "--workers"),
        (["check", "a", "unwanted"], "unwanted"),
    ],
)
def test_a_mistake_in_usage_is_one_line_on_stderr_and_status_2(command, arguments, named):
    status, out, err = command(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("lbg: ")
    assert err.count("\n") == 1
    assert named in err
