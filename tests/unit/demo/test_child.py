import pytest

from lbg.demo.child import exit_status, exit_text


@pytest.mark.parametrize(
    ("returncode", "text", "status"),
    [
        (0, "exited with status 0", 0),
        (2, "exited with status 2", 2),
        (-9, "exited with signal 9", 137),
        (-15, "exited with signal 15", 143),
    ],
)
def test_an_end_is_told_as_shells_do(returncode, text, status):
    assert exit_text(returncode) == text
    assert exit_status(returncode) == status
