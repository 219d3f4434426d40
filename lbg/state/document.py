"""What the directory document says: the snapshot in force and the slots of its endpoints and pools."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from lbg.config.amendments import Amendments
from lbg.config.snapshot import Snapshot, from_document, to_document
from lbg.state.layout import ENDPOINT_SLOTS, POOL_SLOTS


@dataclass(frozen=True, slots=True)
class Published:
    """A snapshot as the master hands it to the workers.

    `slots` maps `pool/address` to the slot of an endpoint, `pool_slots` the name of a pool to its own;
    the snapshot has the `amendments` in it.
    """

    snapshot: Snapshot
    slots: dict[str, int]
    pool_slots: dict[str, int] = field(default_factory=dict)
    amendments: Amendments = field(default_factory=Amendments)


def encode(published: Published) -> bytes:
    """Return the document for `published`."""
    snapshot = json.loads(to_document(published.snapshot))
    content = {
        "snapshot": snapshot,
        "slots": published.slots,
        "pool_slots": published.pool_slots,
        "amendments": published.amendments.model_dump(mode="json"),
    }
    return json.dumps(content).encode()


def decode(document: bytes) -> Published:
    """Return what `document` says. Raises ValueError when it is damaged."""
    slots, pool_slots = decode_slots(document)
    try:
        snapshot = from_document(json.dumps(json.loads(document)["snapshot"]).encode())
    except (KeyError, TypeError) as error:
        raise ValueError("the directory document is incomplete") from error
    return Published(snapshot, slots, pool_slots, decode_amendments(document))


def decode_slots(document: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Return the slots of endpoints and of pools, also from the document of another version of lbg.

    Raises ValueError when it is damaged.
    """
    try:
        content = json.loads(document)
        return _checked(content["slots"], ENDPOINT_SLOTS), _checked(content["pool_slots"], POOL_SLOTS)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the directory document is incomplete") from error


def decode_amendments(document: bytes) -> Amendments:
    """Return what was added and removed at run time, nothing when the document is of a version without.

    Raises ValueError when it is damaged.
    """
    return Amendments.model_validate(json.loads(document).get("amendments", {}))


def _checked(slots: dict[str, int], limit: int) -> dict[str, int]:
    numbers = list(slots.values())
    if not all(type(slot) is int and 0 <= slot < limit for slot in numbers):
        raise ValueError("the directory document has a slot that cannot be")
    if len(set(numbers)) < len(numbers):
        raise ValueError("the directory document has a slot twice")
    return slots
