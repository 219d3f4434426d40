"""A scripted admin listener in the place of the network."""

import copy
import json

import requests
from requests.structures import CaseInsensitiveDict

STATUS = {
    "version": "0.1.0",
    "config": {
        "source": "lbg.toml",
        "generation": 3,
        "digest": "d",
        "added": [],
        "removed": [],
        "error": None,
    },
    "master": 4700,
    "workers": [{"role": "proxy"}, {"role": "control"}, {"role": "proxy"}],
    "control": {"pid": 4711, "heartbeat_age_seconds": 0.1},
    "pools": {
        "api": {
            "usable": 1,
            "waiting": 4,
            "endpoints": [
                {
                    "pool": "api",
                    "url": "http://a:1",
                    "backup": False,
                    "name": "a:1",
                    "admin": "ready",
                    "weight": 1,
                    "configured_weight": 1,
                    "state": "up",
                    "reason": "status 200 in 3 ms",
                    "for_seconds": 192.0,
                    "ejected_until": None,
                    "last_check": {"text": "status 200 in 3 ms", "age_seconds": 1.5},
                    "in_flight": 2,
                    "requests": 100,
                    "responses": {"5xx": 3},
                    "failures": 4,
                    "cuts": 1,
                }
            ],
        }
    },
}


def status_with(**changes):
    """Return the status document with these fields of its one endpoint changed."""
    status = copy.deepcopy(STATUS)
    status["pools"]["api"]["endpoints"][0].update(changes)
    return status


class Body:
    """What requests reads a body from; a piece may be an exception to raise."""

    def __init__(self, pieces):
        self.pieces = pieces

    def stream(self, size, decode_content):
        for piece in self.pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self):
        pass


def answer(body, status=200, **headers):
    """Return an answer with a JSON document or the given pieces as its body."""
    response = requests.Response()
    response.status_code = status
    response.headers = CaseInsensitiveDict({"Content-Type": "application/json"} | headers)
    response.raw = Body(body if isinstance(body, list) else [json.dumps(body).encode()])
    return response


def status_of_config(**changes):
    """Return the status document with these fields of its configuration changed."""
    return STATUS | {"config": STATUS["config"] | changes}


def problem(status, detail):
    return answer({"detail": detail}, status, **{"Content-Type": "application/problem+json"})


def events(*pieces):
    """Return a stream of server-sent events."""
    return answer(list(pieces), **{"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})


def event(number, kind="down", **changes):
    """Return the message of one event."""
    document = {
        "id": number,
        "time": "2025-06-16T10:00:00.500Z",
        "kind": kind,
        "pool": "api",
        "endpoint": "http://a:1",
        "text": "connect refused",
        "after_seconds": 0.0,
    }
    data = json.dumps(document | changes)
    return f"id: {number}\nevent: {kind}\ndata: {data}\n\n".encode()


class AdminListener:
    """Gives the answers of its script one after the other; an exception among them is raised."""

    def __init__(self):
        self.script = []
        self.requests = []

    def send(self, request, **options):
        self.requests.append(request)
        answer = self.script.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        answer.request, answer.url = request, request.url
        return answer
