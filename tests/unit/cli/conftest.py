import os
import sys

import pytest

from lbg.cli.main import main


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
