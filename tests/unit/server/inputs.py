"""Inputs over scripted streams."""

from lbg.http.headers import EnvironKeys
from lbg.net.deadline import NEVER
from lbg.server.body import RequestInput
from lbg.server.environ import fill_environ
from lbg.server.parser import RequestParser
from tests.unit.net.scripted_stream import Scripted, ScriptedStream, as_stream


class ReadFrom(RequestInput):
    """An input with its stream and parser at hand."""

    def __init__(self, stream: ScriptedStream, parser: RequestParser, *, limit: int, timeout: float) -> None:
        request = parser.next()
        assert request is not None
        fill_environ({}, request, EnvironKeys(underscores=False))
        super().__init__(as_stream(stream), parser, request, timeout, limit)
        self.scripted = stream
        self.parser = parser


def input_of(*script: Scripted, limit: int = 0, timeout: float = 30.0) -> ReadFrom:
    """Return the input of the request that `script` begins with; what is behind its head comes later."""
    stream, parser = ScriptedStream(*script), RequestParser(65536)
    while not parser.heads:
        parser.feed(stream.recv(65536))
    stream.deadline = NEVER
    return ReadFrom(stream, parser, limit=limit, timeout=timeout)
