import os
import sys
import time

import pytest
from requests.adapters import HTTPAdapter

from lbg.cli.main import main
from tests.unit.cli.admin_listener import AdminListener


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Run `lbg` with arguments in an empty directory; gives (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("LBG_")]:
        monkeypatch.delenv(name)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lbg", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        output = capsys.readouterr()
        return caught.value.code or 0, output.out, output.err

    return run


@pytest.fixture
def listener(monkeypatch):
    """Answer every request of `requests` by a script."""
    listener = AdminListener()
    monkeypatch.setattr(HTTPAdapter, "send", listener.send)
    return listener


@pytest.fixture
def pauses(monkeypatch):
    """Note the sleeps instead of sleeping."""
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


@pytest.fixture
def utc(monkeypatch):
    """Let local time be UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
