import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.http.keys import Key, is_reference, parse_key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("client_ip", Key("client_ip")),
        ("path", Key("path")),
        ("host", Key("host")),
        ("route", Key("route")),
        ("header:X-Tenant", Key("header", "X-Tenant")),
        ("cookie:session", Key("cookie", "session")),
        ("query:a.b", Key("query", "a.b")),
        ("shop.keys:tenant", Key("function", "shop.keys:tenant")),
        ("keys:Tenants.of", Key("function", "keys:Tenants.of")),
        ("headers:tenant", Key("function", "headers:tenant")),
    ],
)
def test_a_key_is_read(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["header:", "cookie:a b", "query:a=b", "header:a:b"])
def test_a_name_that_can_be_none_is_refused(text):
    kind = text.partition(":")[0]
    with pytest.raises(ValueError) as caught:
        parse_key(text)
    assert str(caught.value) == f'"{kind}:" wants a name after the colon, such as "{kind}:id"'


@pytest.mark.parametrize(
    "text", ["", "ip", "CLIENT_IP", "body:x-y", "a.b.c", "1a:b", "a:b:c", "a..b:c", "a:"]
)
def test_what_is_no_key_is_refused(text):
    with pytest.raises(ValueError) as caught:
        parse_key(text)
    assert str(caught.value).startswith('expected "client_ip", "path", "host", "route", "header:NAME"')
    assert str(caught.value).endswith(f', got "{text}"')


@given(st.text())
def test_any_text_is_a_key_or_a_sentence_on_one_line(text):
    try:
        key = parse_key(text)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017 - either of both is right
    else:
        assert text in {key.kind, key.name, f"{key.kind}:{key.name}"}


@pytest.mark.parametrize("text", ["a:b", "_a.b_1:C.d", "shop.filters:tag"])
def test_a_reference_is_a_module_and_an_attribute(text):
    assert is_reference(text)


@pytest.mark.parametrize("text", ["a", "a:", ":b", "a.:b", "a:b:c", "a-b:c", "a:1", "a :b", "a:b\n"])
def test_other_texts_are_no_reference(text):
    assert not is_reference(text)
