import pytest

from lbg.cli.admin_place import AdminPlace, NoAdminPlace, find_admin

FILE = """\
[admin]
bind = "127.0.0.1:1234"
token = "from-file"
[pools.api]
endpoints = ["http://a"]
"""


@pytest.mark.parametrize(
    ("admin", "url", "socket"),
    [
        ("127.0.0.1:9091", "http://127.0.0.1:9091", ""),
        (":9091", "http://127.0.0.1:9091", ""),
        ("0.0.0.0:9091", "http://127.0.0.1:9091", ""),
        ("[::]:9091", "http://[::1]:9091", ""),
        ("lb.example:9091", "http://lb.example:9091", ""),
        ("unix:/run/admin.sock", "http://localhost", "/run/admin.sock"),
        ("http://lb.example:9091", "http://lb.example:9091", ""),
        ("https://lb.example/lbg/", "https://lb.example/lbg", ""),
    ],
)
def test_the_admin_listener_can_be_named(admin, url, socket, tmp_path):
    assert find_admin(admin, None, {}, tmp_path) == AdminPlace(url, socket)


def test_it_is_shown_as_it_is_reached(tmp_path):
    assert str(find_admin("unix:/run/a.sock", "x", {}, tmp_path)) == "unix:/run/a.sock"
    assert str(find_admin(":9091", "x", {}, tmp_path)) == "http://127.0.0.1:9091"


@pytest.mark.parametrize(
    "admin",
    [
        "",
        "lb.example",
        "127.0.0.1:0",
        "unix:admin.sock",
        "ftp://lb.example",
        "http://",
        "http://lb.example:x",
        "http://lb.example:0",
        "http://user:secret@lb.example",
        "http://lb.example?a",
        "http://[::1",
        "http://lb.example#a",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(admin, tmp_path):
    with pytest.raises(NoAdminPlace) as caught:
        find_admin(admin, None, {}, tmp_path)
    assert str(caught.value).count("\n") == 0
    assert "--admin" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_else_the_configuration_tells_where_it_is(tmp_path):
    (tmp_path / "lbg.toml").write_text(FILE)
    assert find_admin(None, None, {}, tmp_path) == AdminPlace("http://127.0.0.1:1234", "", "from-file")


def test_the_environment_wins_over_the_file(tmp_path):
    (tmp_path / "lbg.toml").write_text(FILE)
    environ = {"LBG_ADMIN__BIND": "unix:/run/a.sock", "LBG_ADMIN__TOKEN": "from-environment"}
    place = AdminPlace("http://localhost", "/run/a.sock", "from-environment")
    assert find_admin(None, None, environ, tmp_path) == place


def test_a_given_token_wins(tmp_path):
    (tmp_path / "lbg.toml").write_text(FILE)
    assert find_admin(None, "given", {"LBG_ADMIN__TOKEN": "x"}, tmp_path).token == "given"
    assert find_admin(":1", "given", {"LBG_ADMIN__TOKEN": "x"}, tmp_path).token == "given"


def test_the_token_of_the_file_is_not_shown_to_a_listener_that_was_named(tmp_path):
    (tmp_path / "lbg.toml").write_text(FILE)
    assert find_admin("lb.example:1", None, {}, tmp_path).token == ""
    assert find_admin("lb.example:1", None, {"LBG_ADMIN__TOKEN": "x"}, tmp_path).token == "x"


@pytest.mark.parametrize("token", ["two\nlines", "s\xe9cret", "\u20ac"])
def test_a_token_that_no_field_can_carry_is_refused(token, tmp_path):
    with pytest.raises(NoAdminPlace, match="token"):
        find_admin(":1", token, {}, tmp_path)
    with pytest.raises(NoAdminPlace, match="token"):
        find_admin(":1", None, {"LBG_ADMIN__TOKEN": token}, tmp_path)


def test_without_any_configuration_it_is_the_default(tmp_path):
    assert find_admin(None, None, {}, tmp_path) == AdminPlace("http://127.0.0.1:9090")
    place = AdminPlace("http://127.0.0.1:7", "", "x")
    environ = {"LBG_ADMIN__BIND": "127.0.0.1:7", "LBG_ADMIN__TOKEN": "x"}
    assert find_admin(None, None, environ, tmp_path) == place


@pytest.mark.parametrize(
    "mistake",
    [
        "[pools.web]\nendpoints = 5\n",
        "[server]\nworkers = 'x'\n",
        "[pools.web\nendpoints = []\n",
        "[admin2]\nbind = \n[pools.web]\n",
    ],
)
def test_a_mistake_elsewhere_in_the_file_hides_no_listener(mistake, tmp_path):
    place = AdminPlace("http://127.0.0.1:1234", "", "from-file")
    for text in (FILE + mistake, mistake + FILE):
        (tmp_path / "lbg.toml").write_text(text)
        assert find_admin(None, None, {"LBG_SERVER__WORKERZ": "x"}, tmp_path) == place


@pytest.mark.parametrize("content", [b"[admin\n", b"\xff\xfe", b"admin = 3\n", b"x = 1\n", b"[" * 5000])
def test_a_file_that_tells_nothing_leaves_the_environment_and_the_default(content, tmp_path):
    (tmp_path / "other.toml").write_bytes(content)
    environ = {"LBG_CONFIG": "other.toml"}
    assert find_admin(None, None, environ, tmp_path) == AdminPlace("http://127.0.0.1:9090")
    environ["LBG_ADMIN__BIND"] = "127.0.0.1:7"
    assert find_admin(None, None, environ, tmp_path) == AdminPlace("http://127.0.0.1:7")


@pytest.mark.parametrize("name", ["", "gone.toml", "a\0b"])
def test_a_file_that_is_not_there_leaves_the_default(name, tmp_path):
    (tmp_path / "lbg.toml").write_text(FILE)
    place = AdminPlace("http://127.0.0.1:9090")
    assert find_admin(None, None, {"LBG_CONFIG": name}, tmp_path) == place


@pytest.mark.parametrize(
    ("bind", "environ", "name"),
    [
        ("'nowhere'", {}, "admin.bind"),
        ("7", {}, "admin.bind"),
        ("':1'", {"LBG_ADMIN__BIND": "x"}, "LBG_ADMIN__BIND"),
    ],
)
def test_an_address_that_is_none_is_told_in_one_line(bind, environ, name, tmp_path):
    (tmp_path / "lbg.toml").write_text(f"[admin]\nbind = {bind}\n")
    with pytest.raises(NoAdminPlace) as caught:
        find_admin(None, None, environ, tmp_path)
    assert str(caught.value).startswith(f"{name}: expected host:port")
    assert str(caught.value).endswith("or name the admin listener with --admin")
    assert "\n" not in str(caught.value)


def test_port_0_tells_nothing(tmp_path):
    with pytest.raises(NoAdminPlace, match="port 0"):
        find_admin(None, None, {"LBG_ADMIN__BIND": "127.0.0.1:0"}, tmp_path)
