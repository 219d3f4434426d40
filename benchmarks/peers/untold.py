"""lbg whose requests nobody is told of: what metrics and traces cost is what the real one costs more."""

from lbg.app.serving import Serving

Serving._observers = lambda _: ()  # type: ignore[method-assign, assignment]

from lbg.wsgi import application  # noqa: E402

__all__ = ["application"]
