"""What the tests of error messages share."""

import pytest

from lbg.config.load import ConfigError, load

POOL = '[pools.api]\nendpoints = ["http://a"]\n'


def error_lines(directory, text, environ=()):
    """Load `text` as the file of `directory` and return the lines of the error; None keeps the file."""
    if text is not None:
        (directory / "lbg.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(dict(environ), directory)
    return str(caught.value).split("\n")
