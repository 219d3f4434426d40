import pytest
from werkzeug.security import check_password_hash, generate_password_hash

from lbg.config.passwords import checked_hash, checked_name, parse_users

DIGITS = "0123456789abcdef" * 8
SCRYPT = f"scrypt:32768:8:1$salt${DIGITS}"
SHA256 = f"pbkdf2:sha256:600000$salt${DIGITS[:64]}"


@pytest.mark.parametrize(
    "method", ["scrypt:1024:8:1", "scrypt:2048:1:3", "pbkdf2:sha256:10", "pbkdf2:sha512:10", "pbkdf2:sha1:10"]
)
def test_a_hash_of_werkzeug_is_accepted(method):
    made = generate_password_hash("hunter2", method)
    assert checked_hash(made) == made
    assert check_password_hash(made, "hunter2")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "$2b$12$abcdefghijklmnopqrstuv",
        "{SHA}abcdef",
        "sha256$salt$" + DIGITS[:64],
        SCRYPT.upper(),
        SCRYPT + "\n",
        f"scrypt:32768:8$salt${DIGITS}",
        f"scrypt:32768:8:1$${DIGITS}",
        f"pbkdf2:md4:1000$salt${DIGITS[:32]}",
        f"pbkdf2:sha256:99999999$salt${DIGITS[:64]}",
    ],
)
def test_what_is_no_hash_is_refused_with_the_command_that_makes_one_and_not_shown(text):
    with pytest.raises(ValueError) as caught:
        checked_hash(text)
    assert str(caught.value).startswith(
        'expected a hash such as "scrypt:32768:8:1$salt$digits", made by python -c'
    )
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected", "got"),
    [(SCRYPT[:-1], 128, 127), (SHA256 + "0", 64, 65), (SHA256.replace("256:", "512:"), 128, 64)],
)
def test_a_hash_that_is_not_whole_is_refused(text, expected, got):
    with pytest.raises(ValueError) as caught:
        checked_hash(text)
    assert str(caught.value) == f"the hash is not whole: expected {expected} digits at its end, got {got}"


@pytest.mark.parametrize("costs", ["0:8:1", "512:8:1", "32769:8:1", "32768:0:1", "32768:8:0", "1048576:8:1"])
def test_costs_that_no_check_can_have_are_refused(costs):
    with pytest.raises(ValueError) as caught:
        checked_hash(SCRYPT.replace("32768:8:1", costs))
    assert str(caught.value).startswith("expected scrypt:N:r:p with N a power of two")


@pytest.mark.parametrize("name", ["alice", "al ice", "\u00e9"])
def test_a_name_may_hold_what_can_be_sent(name):
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "a:b", "a\tb", "a\x7f"])
def test_a_name_that_cannot_be_sent_is_refused(name):
    with pytest.raises(ValueError):
        checked_name(name)


def test_a_file_of_users_has_a_name_and_a_hash_in_each_line():
    text = f"# those who may\r\n\r\nalice:{SCRYPT}\r\n  bob:{SHA256}  \n"
    assert parse_users(text) == {"alice": SCRYPT, "bob": SHA256}
    assert parse_users("") == {}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("alice", "expected name:hash"),
        (f":{SCRYPT}", 'expected a name without ":" and control characters, got ""'),
        (f"alice:{SCRYPT[:-2]}", "the hash is not whole: expected 128 digits at its end, got 126"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(line, sentence):
    with pytest.raises(ValueError) as caught:
        parse_users(f"\nbob:{SHA256}\n{line}\n")
    assert str(caught.value) == f"line 3: {sentence}"


def test_a_name_that_is_there_twice_is_told_with_its_line():
    with pytest.raises(ValueError) as caught:
        parse_users(f"bob:{SHA256}\nbob:{SCRYPT}\n")
    assert str(caught.value) == 'line 2: "bob" is there already'
