"""The request as it goes upstream: which fields pass, which end here, which we add (RFC 9110 section 7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lbg.errors import LocalReply, RequestError
from lbg.http.forwarded import OURS, read_forwarded, valid_request_id
from lbg.http.headers import Fields, RequestRules, Rule, connection_options, removable, without
from lbg.telemetry.trace_context import FIELDS as TRACE_FIELDS
from lbg.upstream.request import UpstreamRequest

if TYPE_CHECKING:
    from lbg.http.forwarded import Forwarding, Peer

_MAX_DIGITS: Final = 18  # of a number in a field; more would not fit 64 bits
_NOTHING: Final[frozenset[bytes]] = frozenset()

_HOST: Final = Rule.HOST
_DROP: Final = Rule.DROP


class Head:
    """A request head taken apart: `lines` pass as they are; the rest is what fields said to us.

    `host` is None without a Host, `client_host` what the client sent where a filter set another. `length`
    is the Content-Length, None without one. `vouched` tells that what a stranger said of whom the request
    comes from is gone, and filters wrote what there is. `upgrade` is the protocol the client asks to
    switch to, `b""` for none.
    """

    # Most requests set few of these: class defaults make the rest free.
    host: bytes | None = None
    client_host: bytes | None = None
    length: int | None = None
    options = _NOTHING
    forwarding: Fields = []
    via: tuple[bytes, ...] = ()
    trailer: tuple[bytes, ...] = ()
    request_id = b""
    upgrade = b""
    te_trailers = False
    expects = False
    chunked = False
    vouched = False
    max_forwards: int | None = None
    _cookies: tuple[bytes, ...] = ()
    _cookie_at = 0

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def heed_filters(self, environ: dict[str, Any]) -> None:
        """Take in that the handler and filters changed the fields, and the Host before that."""
        self.vouched = True
        client_host = environ.get("lbg.client_host")
        if client_host is not None:
            self.client_host = client_host.encode("latin-1")

    def note(self, rule: Rule, name: bytes, value: bytes) -> None:
        """Take in a field that does not simply pass."""
        if rule is Rule.CONTENT_LENGTH:
            # Our server has checked it (llhttp); under others it may be anything.
            value = value.strip(b" \t")
            if not value.isdigit() or len(value.lstrip(b"0")) > _MAX_DIGITS:
                raise RequestError("bad_request", "The Content-Length is malformed.")
            self.length = int(value)
            self.lines.append(b"Content-Length: %b\r\n" % value)
        elif rule is Rule.COOKIE:
            self._note_cookie(value)
        elif rule is Rule.CONNECTION:
            self.options |= connection_options(value)
        elif rule is Rule.FORWARDING:
            self.forwarding = [*self.forwarding, (name, value)]
        elif rule is Rule.REQUEST_ID:
            self.request_id = value
        elif rule is Rule.TRANSFER_ENCODING:
            self.chunked = True
        elif rule is Rule.VIA:
            self.via = (*self.via, value)
            self.lines.append(b"Via: %b\r\n" % value)
        else:
            self._note_rare(rule, value)

    def _note_cookie(self, value: bytes) -> None:
        # RFC 6265 section 5.4 wants one line; HTTP/2 clients may have sent several.
        if not self._cookies:
            self._cookie_at = len(self.lines)
            self.lines.append(b"")
        self._cookies = (*self._cookies, value)
        self.lines[self._cookie_at] = b"Cookie: %b\r\n" % b"; ".join(self._cookies)

    def _note_rare(self, rule: Rule, value: bytes) -> None:
        if rule is Rule.TE:
            codings = {coding.partition(b";")[0].strip().lower() for coding in value.split(b",")}
            self.te_trailers = b"trailers" in codings
        elif rule is Rule.TRAILER:
            self.trailer = (*self.trailer, value)
        elif rule is Rule.EXPECT:
            self.expects = value.lower() == b"100-continue"
        elif rule is Rule.UPGRADE:
            self.upgrade = value
        elif rule is Rule.MAX_FORWARDS and value.isdigit() and len(value) <= _MAX_DIGITS:
            self.max_forwards = int(value)

    def hop_lines(self) -> bytes:
        """Return our own fields for the next hop only."""
        lines = b""
        if self.te_trailers and not self.upgrade:
            lines += b"TE: trailers\r\nConnection: TE\r\n"
        if self.chunked:
            lines += b"Transfer-Encoding: chunked\r\n"
            lines += b"".join(b"Trailer: %b\r\n" % value for value in self.trailer)
        if self.expects:
            lines += b"Expect: 100-continue\r\n"
        if self.max_forwards is not None:
            lines += b"Max-Forwards: %d\r\n" % self.max_forwards
        if self.upgrade:
            lines += b"Upgrade: %b\r\nConnection: Upgrade\r\n" % self.upgrade
        return lines


def _protocols(upgrade: bytes) -> bytes:
    """Return the protocols of an Upgrade field that may pass (RFC 9110 section 7.8).

    h2c never does: the endpoint would speak HTTP/2 on a connection that clients share.
    """
    offered = [protocol.strip() for protocol in upgrade.split(b",")]
    return b", ".join(protocol for protocol in offered if protocol and protocol.lower() != b"h2c")


class _TracedRules(RequestRules):
    """Those of a proxy that takes part in traces: what the client says of its own ends here."""

    def __missing__(self, name: bytes) -> Rule:
        return _DROP if name.lower() in TRACE_FIELDS else super().__missing__(name)


class HeadBuilder:
    """Takes request heads apart and puts them together for upstream; one per worker.

    With `traced` the trace context of the client ends here: who sends the request writes one of lbg's.
    """

    def __init__(self, forwarding: Forwarding, *, underscores: bool, traced: bool = False) -> None:
        self._forwarding = forwarding
        self._rules = (_TracedRules if traced else RequestRules)(underscores=underscores)

    def read(self, fields: Fields) -> Head:
        """Return the head that `fields` make."""
        head = self._sort(fields)
        options = head.options
        if options:
            named = removable(options)
            if named:
                head = self._sort(without(fields, named))
        if head.upgrade:
            head.upgrade = _protocols(head.upgrade) if b"upgrade" in options else b""
        return head

    def _sort(self, fields: Fields) -> Head:
        rules = self._rules
        head = Head()
        lines = head.lines
        for name, value in fields:
            rule = rules[name]
            if not rule:
                lines.append(b"%b: %b\r\n" % (name, value))
            elif rule is _HOST:
                head.host = value
            elif rule is not _DROP:
                head.note(rule, name, value)
        return head

    def request_id(self, head: Head, own: str) -> str:
        """Return the id that a trusted peer gave the request, or our `own`."""
        return head.request_id.decode("ascii") if valid_request_id(head.request_id) else own

    def build(self, method: str, target: bytes, head: Head, peer: Peer, request_id: str) -> UpstreamRequest:
        """Return the upstream request without its body. Raises LocalReply for a loop."""
        forwarding = self._forwarding
        if head.via and forwarding.is_loop(head.via):
            raise LocalReply("loop", "The request came back to this proxy.")
        host = head.host or b""
        said_host = host if head.client_host is None else head.client_host
        shown_id = request_id.encode("ascii")
        if peer.trusted:
            ours = forwarding.trusted(peer, said_host, shown_id, read_forwarded(head.forwarding))
        else:
            ours = forwarding.untrusted(peer, said_host, shown_id)
            if head.forwarding and head.vouched:
                ours += b"".join(
                    b"%b: %b\r\n" % field for field in head.forwarding if field[0].lower() not in OURS
                )
        lines = head.lines
        lines.append(ours)
        if head.options or head.chunked or head.expects or head.max_forwards is not None:
            lines.append(head.hop_lines())
        lines.append(b"\r\n")
        start = b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), target)
        request = UpstreamRequest(method, start, b"Host: %b\r\n" % host if host else None, b"".join(lines))
        if head.upgrade:
            request.upgrades = True
        return request
