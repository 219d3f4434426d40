"""From a reference in the configuration to a callable, or to one sentence that says why not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.hooks.reference import HookError, load

Write = Callable[[str, str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Give a function that writes a module, and a name to import it by that no other test uses."""
    top = f"hooks_{abs(hash(tmp_path))}"
    package = tmp_path / top
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, code: str) -> str:
        (package / f"{name}.py").write_text(code)
        return f"{top}.{name}"

    return write


def why_not(reference: str) -> str:
    with pytest.raises(HookError) as caught:
        load(reference)
    return str(caught.value)


def test_a_function_is_loaded_by_module_and_name(write: Write) -> None:
    name = write("good", "def tag():\n    return 7\n")
    assert load(f"{name}:tag")() == 7


def test_an_attribute_may_lie_deeper(write: Write) -> None:
    name = write("deep", "class Shop:\n    @staticmethod\n    def tag():\n        return 8\n")
    assert load(f"{name}:Shop.tag")() == 8


@pytest.mark.parametrize(
    "reference", ["shop", "shop:", ":tag", "shop.:tag", "shop:tag()", "a b:c", "1a:b", ""]
)
def test_a_reference_of_another_form_is_refused(reference: str) -> None:
    assert why_not(reference) == f'expected "package.module:attribute", got "{reference}"'


def test_a_module_that_is_not_there_is_named() -> None:
    assert why_not("nowhere_at_all:tag") == 'there is no module "nowhere_at_all"'


def test_the_part_of_a_module_name_that_is_not_there_is_named(write: Write) -> None:
    package = write("good", "").partition(".")[0]
    expected = f'there is no module "{package}.bad" in package "{package}"'
    assert why_not(f"{package}.bad.worse:tag") == expected


def test_a_module_inside_a_module_that_is_no_package_is_told(write: Write) -> None:
    name = write("plain", "")
    assert why_not(f"{name}.more:tag") == f'there is no module "{name}.more", "{name}" is no package'


def test_a_module_that_lacks_another_one_is_told_from_one_that_is_absent(
    write: Write, tmp_path: Path
) -> None:
    name = write("lacking", "x = 1\nimport nowhere_at_all\n")
    file = tmp_path / f"{name.replace('.', '/')}.py"
    assert why_not(f"{name}:tag") == (
        f"importing \"{name}\" failed: ModuleNotFoundError: No module named 'nowhere_at_all' ({file}:2)"
    )


def test_what_an_import_raises_is_told_with_its_line(write: Write, tmp_path: Path) -> None:
    name = write("raising", "def f():\n    return {}['port']\n\nf()\n")
    file = tmp_path / f"{name.replace('.', '/')}.py"
    assert why_not(f"{name}:tag") == f"importing \"{name}\" failed: KeyError: 'port' ({file}:2)"


def test_a_syntax_error_is_told_with_its_line(write: Write, tmp_path: Path) -> None:
    name = write("broken", "x = 1\ndef (:\n")
    sentence = why_not(f"{name}:tag")
    assert sentence.startswith(f'importing "{name}" failed: SyntaxError: invalid syntax')
    assert sentence.endswith(f"({tmp_path / name.replace('.', '/')}.py:2)")


def test_an_import_that_exits_is_contained(write: Write, tmp_path: Path) -> None:
    name = write("leaving", "import sys\nsys.exit(3)\n")
    file = tmp_path / f"{name.replace('.', '/')}.py"
    assert why_not(f"{name}:tag") == f'importing "{name}" called for an exit: SystemExit: 3 ({file}:2)'


def test_control_c_during_an_import_is_no_failure_of_it(write: Write) -> None:
    name = write("interrupted", "raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load(f"{name}:tag")


def test_an_attribute_that_is_not_there_comes_with_the_nearest(write: Write) -> None:
    name = write("near", "def tag_tenant(): ...\n")
    expected = f'module "{name}" has no attribute "tag_tennant", did you mean "tag_tenant"?'
    assert why_not(f"{name}:tag_tennant") == expected


def test_a_deeper_attribute_that_is_not_there_is_told_with_its_owner(write: Write) -> None:
    name = write("deeper", "class Shop: ...\n")
    assert why_not(f"{name}:Shop.tag") == f'"{name}:Shop" has no attribute "tag"'


def test_an_attribute_that_raises_is_contained(write: Write, tmp_path: Path) -> None:
    name = write("lazy", "def __getattr__(name):\n    raise ValueError(name)\n")
    file = tmp_path / f"{name.replace('.', '/')}.py"
    expected = f'getting "tag" from module "{name}" failed: ValueError: tag ({file}:2)'
    assert why_not(f"{name}:tag") == expected


def test_what_cannot_be_called_is_refused_with_its_type(write: Write) -> None:
    name = write("data", "tag = {}\n")
    assert why_not(f"{name}:tag") == f'"{name}:tag" cannot be called, it is of type dict'


def test_a_line_break_in_an_error_forges_no_line(write: Write) -> None:
    name = write("forging", "raise ValueError('a\\nERROR all is lost')\n")
    assert "\n" not in why_not(f"{name}:tag")
