"""One loaded configuration with its number, and the document that carries it between processes."""

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from lbg.config.schema import Config


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A configuration, the number of its generation, the digest of its content and the name of its source."""

    config: Config
    generation: int
    digest: str
    source: str

    @classmethod
    def of(cls, config: Config, generation: int, source: str) -> Self:
        """Number a configuration; its digest is taken here."""
        return cls(config, generation, digest_of(config), source)


def digest_of(config: Config) -> str:
    """Return the blake2b of the canonical JSON in hex, the same for equal configurations in every process."""
    canonical = json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def to_document(snapshot: Snapshot) -> bytes:
    """Write a snapshot as JSON for `from_document`; it holds the admin token."""
    document = {
        "generation": snapshot.generation,
        "digest": snapshot.digest,
        "source": snapshot.source,
        "config": snapshot.config.model_dump(mode="json"),
    }
    return json.dumps(document).encode()


def from_document(document: bytes) -> Snapshot:
    """Read what `to_document` wrote; raises ValueError when it is damaged."""
    try:
        values = json.loads(document)
        config = Config.model_validate(values["config"])
        snapshot = Snapshot(config, values["generation"], values["digest"], values["source"])
    except (KeyError, TypeError) as error:
        raise ValueError("the snapshot document is incomplete") from error
    if digest_of(config) != snapshot.digest:
        raise ValueError("the digest of the snapshot document does not fit its content")
    return snapshot
