import pytest

from lbg.config.field_rules import broken_names, broken_request_fields, lost_field, own_field, repeated_names

# RFC 9110 section 7.6.1, RFC 9112 section 6, and Expect, which is settled with each next hop.
OF_ONE_HOP = [
    "Connection",
    "Proxy-Connection",
    "Keep-Alive",
    "TE",
    "Transfer-Encoding",
    "Upgrade",
    "Trailer",
    "Content-Length",
    "Expect",
    "Proxy-Authenticate",
    "Proxy-Authorization",
]


@pytest.mark.parametrize("name", OF_ONE_HOP)
def test_what_is_for_one_hop_or_frames_a_message_is_lbgs_own(name):
    assert f'"{name}"' in own_field(name)
    assert own_field(name.upper())
    assert own_field(name.lower())


@pytest.mark.parametrize(
    "name", ["Host", "Date", "Server", "Set-Cookie", "Content-Type", "Trailers", "Cookie"]
)
def test_other_fields_can_be_changed(name):
    assert own_field(name) == ""


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "x-forwarded-host", "X-Forwarded-Port", "Forwarded", "Via", "Proxy"]
)
def test_what_would_not_reach_the_backend_cannot_be_written(name):
    assert f'"{name}"' in lost_field(name, underscores=True)
    assert own_field(name) == ""


@pytest.mark.parametrize("name", ["X-Real-IP", "X-Forwarded-User", "x-forwarded-groups"])
def test_other_words_on_the_client_can_be_written(name):
    assert lost_field(name, underscores=True) == ""


def test_a_name_with_an_underscore_can_be_written_where_such_names_pass():
    assert lost_field("X_User", underscores=False)
    assert lost_field("X_User", underscores=True) == ""


def test_what_is_removed_may_have_any_name_that_is_not_lbgs_own():
    rules = broken_request_fields({}, ["X_User", "X-Forwarded-For", "TE"], underscores=False)
    assert [path for path, _ in rules] == [("remove", 2)]


def test_a_host_can_be_set_and_not_added():
    rules = broken_request_fields({"set": ["host"], "add": ["HOST"]}, [], underscores=False)
    assert list(rules) == [(("add", "HOST"), 'a request has one "Host", expected it in set')]


def test_one_field_may_be_set_and_added():
    assert list(broken_request_fields({"set": ["X-A"], "add": ["x-a"]}, [], underscores=False)) == []


def test_names_that_differ_in_case_alone_are_one():
    assert list(repeated_names(["A", "b", "a", "B"])) == [
        ("a", '"A" is the same header field'),
        ("B", '"b" is the same header field'),
    ]


def test_the_items_of_a_list_are_told_by_their_place():
    assert list(broken_names("remove", ["A", "b", "a"], lambda name: "no" if name == "b" else "")) == [
        (("remove", 1), "no"),
        (("remove", 2), '"a" is listed twice'),
    ]
