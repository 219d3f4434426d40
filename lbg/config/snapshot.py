"""One loaded configuration with its number, and the document that carries it between processes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

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
    return _digest(config.model_dump(mode="json"))


def _digest(plain: object) -> str:
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return blake2b(canonical.encode(), digest_size=16).hexdigest()


def to_document(snapshot: Snapshot) -> dict[str, object]:
    """Return a snapshot as plain data for `from_document`; it holds the admin token."""
    return {
        "generation": snapshot.generation,
        "digest": snapshot.digest,
        "source": snapshot.source,
        "config": snapshot.config.model_dump(mode="json"),
    }


def from_document(values: Mapping[str, Any]) -> Snapshot:
    """Read what `to_document` made; raises ValueError when it is damaged."""
    try:
        digest = _digest(values["config"])
        config = Config.model_validate(values["config"])
        snapshot = Snapshot(config, values["generation"], values["digest"], values["source"])
    except (KeyError, TypeError) as error:
        raise ValueError("the snapshot document is incomplete") from error
    if digest != snapshot.digest:
        raise ValueError("the digest of the snapshot document does not fit its content")
    return snapshot
