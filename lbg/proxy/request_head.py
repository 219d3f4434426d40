"""The request as it goes upstream: which fields pass, which end here, which we add (RFC 9110 section 7.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.errors import LocalReply
from lbg.http.forwarded import read_forwarded, valid_request_id
from lbg.http.headers import HOP_BY_HOP, Fields, RequestRules, Rule, connection_options, removable, without
from lbg.upstream.request import UpstreamRequest

if TYPE_CHECKING:
    from lbg.http.forwarded import Forwarding, Peer

_HOP_NAMES: Final = frozenset(HOP_BY_HOP)


class Head:
    """A request head taken apart: `lines` pass as they are, the rest is what fields said to us.

    `upgrade` is the protocol the client asks to switch to, `b""` for none. `length` is its
    Content-Length, None without one.
    """

    __slots__ = (
        "_cookie_at",
        "_cookies",
        "chunked",
        "expects",
        "forwarding",
        "host",
        "length",
        "lines",
        "options",
        "request_id",
        "te_trailers",
        "trailer",
        "upgrade",
        "via",
    )

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.host: bytes | None = None
        self.options: frozenset[bytes] = frozenset()
        self.forwarding: Fields = []
        self.via: list[bytes] = []
        self.trailer: list[bytes] = []
        self.request_id = b""
        self.upgrade = b""
        self.te_trailers = False
        self.expects = False
        self.chunked = False
        self.length: int | None = None
        self._cookies: list[bytes] = []
        self._cookie_at = 0

    def note(self, rule: Rule, name: bytes, value: bytes) -> None:
        """Take in a field that does not simply pass."""
        if rule is Rule.CONTENT_LENGTH:
            self.length = int(value)
            self.lines.append(b"Content-Length: %b\r\n" % value)
        elif rule is Rule.COOKIE:
            self._note_cookie(value)
        elif rule is Rule.CONNECTION:
            self.options |= connection_options([value])
        elif rule is Rule.FORWARDING:
            self.forwarding.append((name, value))
        elif rule is Rule.REQUEST_ID:
            self.request_id = value
        elif rule is Rule.TRANSFER_ENCODING:
            self.chunked = True
        elif rule is Rule.VIA:
            self.via.append(value)
            self.lines.append(b"Via: %b\r\n" % value)
        else:
            self._note_rare(rule, value)

    def _note_cookie(self, value: bytes) -> None:
        # RFC 6265 section 5.4 wants one line; HTTP/2 clients may have sent several.
        if not self._cookies:
            self._cookie_at = len(self.lines)
            self.lines.append(b"")
        self._cookies.append(value)
        self.lines[self._cookie_at] = b"Cookie: %b\r\n" % b"; ".join(self._cookies)

    def _note_rare(self, rule: Rule, value: bytes) -> None:
        if rule is Rule.TE:
            codings = {coding.partition(b";")[0].strip().lower() for coding in value.split(b",")}
            self.te_trailers = b"trailers" in codings
        elif rule is Rule.TRAILER:
            self.trailer.append(value)
        elif rule is Rule.EXPECT:
            self.expects = value.lower() == b"100-continue"
        elif rule is Rule.UPGRADE:
            self.upgrade = value
        elif rule is Rule.MAX_FORWARDS:
            self.lines.append(b"Max-Forwards: %b\r\n" % value)

    def hop_lines(self) -> bytes:
        """Return our own hop-by-hop fields for the next hop."""
        lines = b""
        if self.te_trailers and not self.upgrade:
            lines += b"TE: trailers\r\nConnection: TE\r\n"
        if self.chunked:
            lines += b"Transfer-Encoding: chunked\r\n"
            lines += b"".join(b"Trailer: %b\r\n" % value for value in self.trailer)
        if self.expects:
            lines += b"Expect: 100-continue\r\n"
        if self.upgrade:
            lines += b"Upgrade: %b\r\nConnection: Upgrade\r\n" % self.upgrade
        return lines


class HeadBuilder:
    """Takes request heads apart and puts them together for upstream; one per worker."""

    def __init__(self, forwarding: Forwarding, *, underscores: bool) -> None:
        self._forwarding = forwarding
        self._rules = RequestRules(underscores=underscores)

    def read(self, fields: Fields) -> Head:
        """Return the head that `fields` make."""
        head = self._sort(fields)
        if head.options:
            named = removable(head.options) - _HOP_NAMES
            if named:
                head = self._sort(without(fields, named))
            # RFC 9110 section 7.8: Upgrade counts only when Connection names it. h2c never passes: the
            # endpoint would then speak HTTP/2 on a connection that we share between clients.
            if b"upgrade" not in head.options or head.upgrade.strip().lower().startswith(b"h2c"):
                head.upgrade = b""
        else:
            head.upgrade = b""
        return head

    def _sort(self, fields: Fields) -> Head:
        rules = self._rules
        head = Head()
        lines = head.lines
        for name, value in fields:
            rule = rules[name]
            if not rule:
                lines.append(b"%b: %b\r\n" % (name, value))
            elif rule is Rule.HOST:
                head.host = value
            elif rule is not Rule.DROP:
                head.note(rule, name, value)
        return head

    def request_id(self, head: Head, peer: Peer, own: bytes) -> bytes:
        """Return the id of the request: a trusted peer's, or our `own`."""
        if peer.trusted and head.request_id and valid_request_id(head.request_id):
            return head.request_id
        return own

    def build(
        self, start: bytes, head: Head, peer: Peer, request_id: bytes, *, keep_host: bool
    ) -> UpstreamRequest:
        """Return the upstream request that begins with the request line `start`.

        Without `keep_host` the endpoint gets its own name as Host. Raises LocalReply for a loop.
        """
        forwarding = self._forwarding
        if head.via and forwarding.is_loop(head.via):
            raise LocalReply("loop", "The request came back to this proxy.")
        host = head.host or b""
        if peer.trusted:
            ours = forwarding.trusted(peer, host, request_id, read_forwarded(head.forwarding))
        else:
            ours = forwarding.untrusted(peer, host, request_id)
        lines = head.lines
        lines.append(ours)
        if head.options or head.chunked or head.expects:
            lines.append(head.hop_lines())
        lines.append(b"\r\n")
        method = start.partition(b" ")[0].decode("ascii")
        host_line = b"Host: %b\r\n" % host if host and keep_host else None
        request = UpstreamRequest(method, start, host_line, b"".join(lines))
        request.upgrades = bool(head.upgrade)
        return request
