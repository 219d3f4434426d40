"""The proxy one writes first: stock gunicorn gevent worker, one `requests` session, streamed bodies."""

import os
from collections.abc import Iterable, Iterator
from typing import IO, Any

import requests
from requests.adapters import HTTPAdapter

BACKEND = os.environ["BACKEND"]
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}

session = requests.Session()
session.trust_env = False
session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=128))


class Body:
    """The request's body with its length, so that `requests` keeps the Content-Length."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._length = length
        self.read = stream.read

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(65536), b"")


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Forward one request and stream its answer."""
    headers = {k[5:].replace("_", "-"): v for k, v in environ.items() if k.startswith("HTTP_")}
    sent = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
    length = int(environ.get("CONTENT_LENGTH") or 0)
    answer = session.request(
        environ["REQUEST_METHOD"],
        BACKEND + environ["RAW_URI"],
        headers=sent,
        data=Body(environ["wsgi.input"], length) if length else None,
        stream=True,
        allow_redirects=False,
    )
    kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP]
    start_response(f"{answer.status_code} {answer.reason}", kept)
    return answer.raw.stream(65536, decode_content=False)
