"""What the directory document says: the snapshot in force and the slot of every endpoint."""

from __future__ import annotations

import json
from dataclasses import dataclass

from lbg.config.snapshot import Snapshot, from_document, to_document


@dataclass(frozen=True, slots=True)
class Published:
    """A snapshot as the master hands it to the workers. `slots` maps `pool/address` to a slot."""

    snapshot: Snapshot
    slots: dict[str, int]


def encode(published: Published) -> bytes:
    """Return the document for `published`."""
    snapshot = json.loads(to_document(published.snapshot))
    return json.dumps({"snapshot": snapshot, "slots": published.slots}).encode()


def decode(document: bytes) -> Published:
    """Return what `document` says. Raises ValueError when it is damaged."""
    try:
        content = json.loads(document)
        slots = {str(name): int(slot) for name, slot in content["slots"].items()}
        snapshot = from_document(json.dumps(content["snapshot"]).encode())
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the directory document is incomplete") from error
    return Published(snapshot, slots)
