import tomllib

from hypothesis import given
from hypothesis import strategies as st

from lbg.config.lines import key_lines
from tests.unit.config.toml_text import Writer

DOCUMENT = r'''# the first line
title = "x"  # [not.a.table]
[server]
bind = [
  "a", # one
  """b
  "" ] """"", 'c',
]
a.b . "c d" = { x = 1, y = [ {z = 1.5}, [] ] }
when = 1979-05-27 07:32:00 # date
[ pools . 'api.v1' . "tim\u0065outs" ]
connect = "\"]"
[pools.'api.v1']
endpoints = ['\', "]"]
[[routes]]
host = "a"
[routes.extra]
k = 1
[[routes]]
[[routes.sub]]
k = 2
'''


def test_each_key_item_and_table_has_its_line():
    assert key_lines(DOCUMENT) == {
        ("title",): 2,
        ("server",): 3,
        ("server", "bind"): 4,
        ("server", "bind", 0): 5,
        ("server", "bind", 1): 6,
        ("server", "bind", 2): 7,
        ("server", "a"): 9,
        ("server", "a", "b"): 9,
        ("server", "a", "b", "c d"): 9,
        ("server", "a", "b", "c d", "x"): 9,
        ("server", "a", "b", "c d", "y"): 9,
        ("server", "a", "b", "c d", "y", 0): 9,
        ("server", "a", "b", "c d", "y", 0, "z"): 9,
        ("server", "a", "b", "c d", "y", 1): 9,
        ("server", "when"): 10,
        ("pools",): 11,
        ("pools", "api.v1"): 13,
        ("pools", "api.v1", "timeouts"): 11,
        ("pools", "api.v1", "timeouts", "connect"): 12,
        ("pools", "api.v1", "endpoints"): 14,
        ("pools", "api.v1", "endpoints", 0): 14,
        ("pools", "api.v1", "endpoints", 1): 14,
        ("routes",): 15,
        ("routes", 0): 15,
        ("routes", 0, "host"): 16,
        ("routes", 0, "extra"): 17,
        ("routes", 0, "extra", "k"): 18,
        ("routes", 1): 19,
        ("routes", 1, "sub"): 20,
        ("routes", 1, "sub", 0): 20,
        ("routes", 1, "sub", 0, "k"): 21,
    }


def test_an_empty_document_has_no_lines():
    assert key_lines("") == key_lines("# nothing\n\n") == {}


keys = st.sampled_from(["a", "bb", "c", "dd", "e.e", "ff.ff", 'g"', "hh=", "[i]", "jj]", ""])
scalars = (
    st.booleans()
    | st.integers(-9, 10**6)
    | st.floats(allow_nan=False)
    | st.text("ab\"',]}#=\\\n[", max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)


def paths_of(value, path=()):
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for part, child in children:
        yield (*path, part)
        yield from paths_of(child, (*path, part))


@given(st.dictionaries(keys, values, max_size=5), st.randoms(use_true_random=False))
def test_the_scan_finds_every_path_that_tomllib_finds_and_no_other(data, random):
    source = Writer(random).document(data)
    parsed = tomllib.loads(source)
    lines = key_lines(source)
    assert set(lines) == set(paths_of(parsed))
    text = source.split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str):
            assert path[-1].replace('"', '\\"') in text[line - 1]
