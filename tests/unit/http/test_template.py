import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.http.template import NAMED, OF_REQUEST, OF_RESPONSE, UnknownVariable, Variable, parse


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("https://{host}{uri}", ("https://", Variable("host", ""), Variable("uri", ""))),
        ("{header:X-A} and", (Variable("header", "X-A"), " and")),
        ("{query}{query:a.b}", (Variable("query", ""), Variable("query", "a.b"))),
        ("{match:0}{match:name}", (Variable("match", "0"), Variable("match", "name"))),
        ("{{{host}}}", ("{", Variable("host", ""), "}")),
        ("a{{b}}c", ("a{b}c",)),
        ("{{host}}", ("{host}",)),
    ],
)
def test_a_text_is_taken_apart_into_literals_and_variables(text, parts):
    assert parse(text) == parts


@pytest.mark.parametrize("kind", [*OF_REQUEST, *OF_RESPONSE])
def test_every_variable_can_stand_alone(kind):
    assert parse(f"{{{kind}}}") == (Variable(kind, ""),)


@pytest.mark.parametrize("kind", NAMED)
def test_every_variable_with_a_name_can_have_one(kind):
    assert parse(f"{{{kind}:a-b_1}}") == (Variable(kind, "a-b_1"),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", 'a single "{", expected "{{" for the character itself'),
        ("a}b", 'a single "}", expected "}}" for the character itself'),
        ("{host", 'a single "{", expected "{{" for the character itself'),
        ("{a{host}", 'a single "{", expected "{{" for the character itself'),
        ("{header}", "{header} wants a name, expected {header:NAME}"),
        ("{cookie:}", "{cookie:} names nothing that can be, expected {cookie:NAME}"),
        ("{header:a b}", "{header:a b} names nothing that can be, expected {header:NAME}"),
        ("{status:x}", "{status:x} is no variable with a name, there is header, cookie, query, match"),
    ],
)
def test_what_is_wrong_is_told(text, sentence):
    with pytest.raises(ValueError) as caught:
        parse(text)
    assert str(caught.value) == sentence


def test_an_unknown_variable_is_told_with_those_that_there_are():
    with pytest.raises(UnknownVariable) as caught:
        parse("{ host }")
    error = caught.value
    assert str(error) == f"there is no variable {{ host }}, there is {', '.join(error.known)}"
    assert (error.what, error.name) == ("there is no variable { host }", " host ")
    assert error.known == OF_REQUEST + OF_RESPONSE


def test_a_wrong_variable_is_shown_short_and_printable():
    with pytest.raises(ValueError) as caught:
        parse("{\x1b\x9b" + "x" * 100 + "}")
    assert str(caught.value).startswith("there is no variable {\\u001b\\u009b" + "x" * 58 + "}, there is")


def test_a_variable_is_shown_as_it_is_written():
    assert str(Variable("host", "")) == "{host}"
    assert str(Variable("header", "X-A")) == "{header:X-A}"


@given(st.text())
def test_any_literal_can_be_written(text):
    assert "".join(map(str, parse(text.replace("{", "{{").replace("}", "}}")))) == text


@given(st.text("{}ahost:", max_size=12))
def test_any_text_has_parts_or_a_sentence(text):
    try:
        parts = parse(text)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017 - either of both is right
    else:
        written = (
            part.replace("{", "{{").replace("}", "}}") if isinstance(part, str) else str(part)
            for part in parts
        )
        assert "".join(written) == text
