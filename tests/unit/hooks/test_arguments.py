"""Whether hooks take the arguments they are called with, found out without calling them."""

import contextlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lbg.config.load import ConfigError, load
from lbg.config.references import check_references
from lbg.hooks.arguments import misfits
from lbg.hooks.verify import verify

GOLDEN = Path(__file__).parent / "golden"
MISTAKES = sorted(GOLDEN.glob("*.toml"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.stem for mistake in MISTAKES])
def test_a_mistake_is_told_in_these_words(mistake: Path, tmp_path: Path) -> None:
    (tmp_path / "hk.py").write_text((GOLDEN / "hk.py").read_text())
    with pytest.raises(ConfigError) as caught:
        check_references(load({"LBG_CONFIG": mistake.name}, GOLDEN), verify, tmp_path)
    assert f"{caught.value}\n" == mistake.with_suffix(".txt").read_text()


FUNCTIONS: Sequence[Callable[..., Any]] = [
    lambda: None,
    lambda a: None,
    lambda a, b: None,
    lambda a, b=1: None,
    lambda a, /: None,
    lambda a, b, /: None,
    lambda a, /, b: None,
    lambda a=1, b=2, /: None,
    lambda *, a: None,
    lambda a, *, b: None,
    lambda a, *, b=1: None,
    lambda *a: None,
    lambda *a, b: None,
    lambda **a: None,
    lambda a, **c: None,
    lambda a, /, **b: None,
    lambda a, b, /, **c: None,
    lambda *a, **b: None,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=[str(inspect.signature(each)) for each in FUNCTIONS])
@pytest.mark.parametrize("options", [(), ("a",), ("b",), ("a", "b"), ("c",)], ids=",".join)
def test_it_says_what_a_call_would_show(function: Callable[..., Any], options: Sequence[str]) -> None:
    works = False
    with contextlib.suppress(TypeError):
        function(None, **dict.fromkeys(options))
        works = True
    assert (misfits(function, "hk:f", options) == []) is works


def test_a_signature_that_cannot_be_had_is_no_fault() -> None:
    class Raising:
        @property
        def __signature__(self) -> None:
            raise RuntimeError

        def __call__(self) -> None: ...

    assert misfits(Raising(), "hk:f", ["x"]) == []
