"""The number of the boot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lbg.state import boot


@pytest.fixture
def boot_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the file that identifies the boot; there is none yet."""
    monkeypatch.setattr(boot, "_BOOT_ID", tmp_path / "boot_id")
    boot.boot_number.cache_clear()
    yield tmp_path / "boot_id"
    boot.boot_number.cache_clear()


def test_the_same_boot_has_the_same_number(boot_id: Path) -> None:
    boot_id.write_text("b5a3f7a0-0000-0000-0000-000000000001\n")
    first = boot.boot_number()
    boot.boot_number.cache_clear()
    assert boot.boot_number() == first


def test_another_boot_has_another_number_of_64_bits(boot_id: Path) -> None:
    numbers = set()
    for number in range(20):
        boot_id.write_text(f"b5a3f7a0-0000-0000-0000-{number:012}\n")
        boot.boot_number.cache_clear()
        numbers.add(boot.boot_number())
    assert len(numbers) == 20
    assert all(0 < number < 2**64 for number in numbers)


def test_a_system_that_does_not_tell_has_the_number_zero(boot_id: Path) -> None:
    assert boot.boot_number() == 0
