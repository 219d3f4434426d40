"""What the directory document says: the snapshot in force and the slots of its endpoints and pools."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

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
    content = {
        "snapshot": to_document(published.snapshot),
        "slots": published.slots,
        "pool_slots": published.pool_slots,
        "amendments": published.amendments.model_dump(mode="json"),
    }
    return json.dumps(content).encode()


def decode(document: bytes) -> Published:
    """Return what `document` says. Raises ValueError when it is damaged."""
    content = _content(document)
    slots, pool_slots = _slots(content)
    try:
        snapshot = from_document(content["snapshot"])
    except (KeyError, TypeError) as error:
        raise ValueError("the directory document is incomplete") from error
    return Published(snapshot, slots, pool_slots, _amendments(content))


def decode_slots(document: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Return the slots of endpoints and of pools, also from the document of another version of lbg.

    Raises ValueError when it is damaged.
    """
    return _slots(_content(document))


def decode_amendments(document: bytes) -> Amendments:
    """Return what was added and removed at run time, nothing when the document is of a version without.

    Raises ValueError when it is damaged.
    """
    return _amendments(_content(document))


def decode_generation(document: bytes) -> int:
    """Return the number of the configuration. Raises ValueError when it is damaged."""
    try:
        return int(_content(document)["snapshot"]["generation"])
    except (KeyError, TypeError) as error:
        raise ValueError("the directory document is incomplete") from error


def _content(document: bytes) -> dict[str, Any]:
    try:
        content = json.loads(document)
    except RecursionError as error:
        raise ValueError("the directory document is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError("the directory document is incomplete")  # noqa: TRY004
    return content


def _amendments(content: dict[str, Any]) -> Amendments:
    return Amendments.model_validate(content.get("amendments", {}))


def _slots(content: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    try:
        return _checked(content["slots"], ENDPOINT_SLOTS), _checked(content["pool_slots"], POOL_SLOTS)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("the directory document is incomplete") from error


def _checked(slots: dict[str, int], limit: int) -> dict[str, int]:
    numbers = list(slots.values())
    if not all(type(slot) is int and 0 <= slot < limit for slot in numbers):
        raise ValueError("the directory document has a slot that cannot be")
    if len(set(numbers)) < len(numbers):
        raise ValueError("the directory document has a slot twice")
    return slots
