"""Each file of mistakes in `golden/`, and beside it the exact lines that a person sees.

`$FILES` stands for a directory with the files that some of them name.
"""

import os
from pathlib import Path

import pytest

from lbg.config.load import ConfigError, load

MISTAKES = sorted((Path(__file__).parent / "golden").glob("*.toml"))
USER = "alice:scrypt:32768:8:1$c2FsdHNhbHQ$" + "0123456789abcdef" * 8


def make_files(directory):
    """Make the files that mistakes are about."""
    (directory / "page.html").write_text("<h1>A page</h1>")
    (directory / "large.html").write_bytes(b"x" * (2**20 + 1))
    os.mkfifo(directory / "pipe")
    (directory / "users").write_text(f"# who may come\n\n{USER}\n")
    (directory / "users-none").write_text("# nobody\n")
    (directory / "users-without-colon").write_text(f"{USER}\nhunter2\n")
    (directory / "users-in-plain-text").write_text(f"{USER}\n\nbob:hunter2\n")
    (directory / "users-binary").write_bytes(b"\xff\xfe")


def errors(mistake, directory):
    """Load a file of mistakes and return what is said of it."""
    (directory / mistake.name).write_text(mistake.read_text().replace("$FILES", str(directory)))
    with pytest.raises(ConfigError) as caught:
        load({"LBG_CONFIG": mistake.name}, directory)
    return f"{caught.value}\n".replace(str(directory), "$FILES")


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.stem for mistake in MISTAKES])
def test_a_mistake_is_told_in_these_words(mistake, tmp_path):
    make_files(tmp_path)
    assert errors(mistake, tmp_path) == mistake.with_suffix(".txt").read_text()


def test_there_is_a_file_of_mistakes_for_each_expectation_and_enough_of_both():
    expectations = (Path(__file__).parent / "golden").glob("*.txt")
    assert {mistake.stem for mistake in MISTAKES} == {expectation.stem for expectation in expectations}
    assert len(MISTAKES) >= 100


def test_no_secret_of_a_mistake_is_told():
    text = "".join(mistake.with_suffix(".txt").read_text() for mistake in MISTAKES)
    for secret in ("hunter2", "123456", "0123456789abcdef", "c2FsdHNhbHQ"):
        assert any(secret in mistake.read_text() for mistake in MISTAKES)
        assert secret not in text
