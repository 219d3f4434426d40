"""Which boot of the machine this is: CLOCK_MONOTONIC starts anew with each."""

from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_number() -> int:
    """Return a 64-bit number of this boot, 0 where the system has none (macOS)."""
    try:
        text = _BOOT_ID.read_bytes()
    except OSError:
        return 0
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
