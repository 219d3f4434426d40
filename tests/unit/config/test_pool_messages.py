"""What a person sees for each mistake in a pool and the tables below it."""

import pytest

from lbg.config.load import load
from tests.unit.config.mistakes import POOL, error_lines

STATUSES = 'expected statuses such as "200-399" or "200,204"'
PATH = 'expected an ASCII path that starts with "/", without spaces and "#"'

POLICIES = (
    'expected "power_of_two", "least_requests", "round_robin", "peak_ewma", "random", "hash"'
    ' or "package.module:attribute"'
)
KEY_SPECS = (
    'expected "client_ip", "path", "host", "route", "header:NAME", "cookie:NAME", "query:NAME"'
    ' or "package.module:function"'
)
SECRET = 'secret = "0123456789abcdef"'

# A line of [pools.api], or of the table below it that its key names, and the message without its place.
KEYS = [
    # the pool
    ('balance = "fast"', f'{POLICIES}, got "fast"'),
    ('balance = "randm"', f'{POLICIES}, got "randm", did you mean "random"?'),
    ('balance = "peak-ewma"', f'{POLICIES}, got "peak-ewma", did you mean "peak_ewma"?'),
    ('balance = "mine:"', f'{POLICIES}, got "mine:"'),
    ('balance = "mine.policy"', f'{POLICIES}, got "mine.policy"'),
    ('balance = "my-policy:make"', f'{POLICIES}, got "my-policy:make"'),
    ("balance = 1", "expected a string, got 1"),
    ('hash_key = "ip"', f'{KEY_SPECS}, got "ip"'),
    ('hash_key = "cookie:"', '"cookie:" wants a name after the colon, such as "cookie:id"'),
    ("hash_key = 1", "expected a string, got 1"),
    ("hash_bound = 110", "expected 0, or a percentage from 125 to 200, got 110"),
    ("hash_bound = 201", "expected 0, or a percentage from 125 to 200, got 201"),
    ("hash_bound = -1", "expected 0, or a percentage from 125 to 200, got -1"),
    ("hash_bound = 1.5", "expected a whole number, got 1.5"),
    ('when_all_down = "open"', 'expected "fail_closed" or "fail_open", got "open"'),
    ("slow_start = -1", "expected at least 0, got -1"),
    ("heath = 1", 'unknown key, did you mean "health"?'),
    ("outliers = 1", 'unknown key, did you mean "outlier"?'),
    ("routes = 1", "unknown key"),
    ("backend = 1", "unknown key"),
    # health
    ('health = "none"', 'expected a table, got "none"'),
    ('health.type = "https"', 'expected "http", "tcp" or "none", got "https"'),
    ('health.scheme = "ftp"', 'expected "http" or "https", got "ftp"'),
    ('health.timeout = "2"', 'expected a number, got "2"'),
    ("health.timeout = true", "expected a number, got true"),
    ("health.timeout = 0", "expected at least 0.001, got 0"),
    ("health.interval = nan", "expected a finite number, got nan"),
    ("health.fast_interval = []", "expected a number, got a list"),
    ("health.rise = 0", "expected at least 1, got 0"),
    ("health.fall = 101", "expected at most 100, got 101"),
    ("health.fall = 1.5", "expected a whole number, got 1.5"),
    ('health.method = "GE T"', 'expected a method such as "GET" or "HEAD", got "GE T"'),
    ('health.method = "connect"', 'expected a method such as "GET" or "HEAD", got "connect"'),
    ('health.path = "ready"', f'{PATH}, got "ready"'),
    ('health.path = "/a b"', f'{PATH}, got "/a b"'),
    ('health.path = "/a#b"', f'{PATH}, got "/a#b"'),
    ('health.path = "/\u00e9"', f'{PATH}, got "/\\u00e9"'),
    ('health.path = "/\\r\\nX: y"', f'{PATH}, got "/\\r\\nX: y"'),
    ('health.host = "a:80"', 'expected a host name or an IP address, got "a:80"'),
    ('health.host = "a\\r\\nb"', 'expected a host name or an IP address, got "a\\r\\nb"'),
    ("health.port = 65536", "expected at most 65535, got 65536"),
    ("health.port = -1", "expected at least 0, got -1"),
    ('health.port = "80"', 'expected a whole number, got "80"'),
    ("health.headers = []", "expected a table, got a list"),
    ("health.headers.X = 1", "expected a string, got 1"),
    ('health.expect_status = "2xx"', f'{STATUSES}, got "2xx"'),
    ('health.expect_status = "200-"', f'{STATUSES}, got "200-"'),
    ('health.expect_status = "200,,204"', f'{STATUSES}, got ""'),
    ('health.expect_status = "99"', f'{STATUSES}, got "99"'),
    ("health.expect_status = 600", f"{STATUSES}, got 600"),
    ("health.expect_status = true", f"{STATUSES}, got true"),
    ("health.expect_status = [200]", f"{STATUSES}, got a list"),
    ('health.expect_status = "399-200"', 'expected the lower status first, got "399-200"'),
    ("health.expect_body = 1", "expected a string, got 1"),
    (
        "health.expect_body = '['",
        'expected a regular expression, got "[": unterminated character set at position 0',
    ),
    (
        "health.expect_body = 'a{99999999999}'",
        'expected a regular expression, got "a{99999999999}": the repetition number is too large',
    ),
    (
        "health.expect_body = '[[a]'",
        'expected a regular expression, got "[[a]": Possible nested set at position 1',
    ),
    (
        'health.expect_body = "(?\\u001b)"',
        'expected a regular expression, got "(?\\u001b)": unknown extension ?\\x1b at position 1',
    ),
    # outlier
    ("outlier.connect_failures = -1", "expected at least 0, got -1"),
    ("outlier.server_errors = 0.5", "expected a whole number, got 0.5"),
    ("outlier.max_ejected = 50", "expected at most 1, got 50"),
    ('outlier.max_ejected = "50%"', 'expected a number, got "50%"'),
    ("outlier.eject = 0", "expected at least 0.001, got 0"),
    # retry
    ('retry.on = "connect"', 'expected a list, got "connect"'),
    ("retry.status = 503", "expected a list, got 503"),
    ("retry.budget = 20", "expected at most 1, got 20"),
    ("retry.budget = -0.1", "expected at least 0, got -0.1"),
    ('retry.non_idempotent = "yes"', 'expected true or false, got "yes"'),
    # queue
    ("queue = 5", "expected a table, got 5"),
    ("queue.size = -1", "expected at least 0, got -1"),
    ("queue.timeout = 0", "expected at least 0.001, got 0"),
    ("queue.length = 1", "unknown key"),
    # tls
    ("tls.verify = 0", "expected true or false, got 0"),
    ('tls.server_name = "*.a"', 'expected a host name or an IP address, got "*.a"'),
    ('tls.ca = "ca.pem"', 'expected an absolute file name, such as "/etc/ssl/ca.pem", got "ca.pem"'),
    ('tls.ca = "/\\u001b"', 'expected an absolute file name, such as "/etc/ssl/ca.pem", got "/\\u001b"'),
    ('tls.ca = "/no/ca.pem"', "/no/ca.pem cannot be read: no such file or directory"),
    ('tls.ca = "/"', "/ cannot be read: is a directory"),
]


@pytest.mark.parametrize(("line", "message"), KEYS)
def test_a_mistake_in_a_key_of_a_pool_is_told_in_one_line(tmp_path, line, message):
    key = line.partition(" =")[0]
    assert error_lines(tmp_path, POOL + line) == [f"lbg.toml:3: pools.api.{key}: {message}"]


@pytest.mark.parametrize(
    ("sticky", "line"),
    [
        ("ttl = 1", ".secret: missing, this key is required"),
        (f"{SECRET}, ttl = -1", ".ttl: expected at least 0, got -1"),
        (f"{SECRET}, ttl = 34560001", ".ttl: expected at most 34560000, got 34560001"),
        (f"{SECRET}, ttl = 1.0", ".ttl: expected a whole number, got 1.0"),
        (f"{SECRET}, tll = 1", '.tll: unknown key, did you mean "ttl"?'),
        (
            f'{SECRET}, cookie = "a b"',
            '.cookie: expected a cookie name without spaces, such as "lbg", got "a b"',
        ),
        (
            f'{SECRET}, cookie = ""',
            '.cookie: expected a cookie name without spaces, such as "lbg", got ""',
        ),
    ],
)
def test_a_mistake_in_the_cookie_of_a_pool_is_told_with_its_key(tmp_path, sticky, line):
    text = f"{POOL}sticky = {{ {sticky} }}"
    assert error_lines(tmp_path, text) == [f"lbg.toml:3: pools.api.sticky{line}"]


VISIBLE = "expected at least 16 visible ASCII characters without spaces"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('sticky.secret = "hidden"', f"sticky.secret: {VISIBLE}"),
        ('sticky.secret = "hidden, with some spaces"', f"sticky.secret: {VISIBLE}"),
        ('sticky.secret = "hidden-é-0123456789"', f"sticky.secret: {VISIBLE}"),
        ("sticky.secret = 1234567890123456", "sticky.secret: expected a string, got a number"),
        ('sticky = "hidden-0123456789"', "sticky: expected a table, got a string"),
    ],
)
def test_no_message_shows_the_secret_of_a_cookie(tmp_path, line, message):
    assert error_lines(tmp_path, POOL + line) == [f"lbg.toml:3: pools.api.{message}"]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ('"X Y" = "1"', '"X Y" is not a header field name'),
        ('"X\\r\\nY" = "1"', '"X\\r\\nY" is not a header field name'),
        ('"" = "1"', '"" is not a header field name'),
        ('X = "a\\r\\nB: c"', 'the value of "X" holds control or non-ASCII characters'),
        ('X = "\u00e9"', 'the value of "X" holds control or non-ASCII characters'),
        ('hOst = "b"', '"hOst" is set by lbg itself'),
        ('Transfer-Encoding = "chunked"', '"Transfer-Encoding" is set by lbg itself'),
        ('X = "1", x = "2"', '"x" is listed twice'),
    ],
)
def test_a_header_field_that_cannot_be_sent_is_refused(tmp_path, headers, message):
    text = f"{POOL}health.headers = {{ {headers} }}"
    assert error_lines(tmp_path, text) == [f"lbg.toml:3: pools.api.health.headers: {message}"]


@pytest.mark.parametrize(
    ("key", "items", "message"),
    [
        (
            "on",
            '"stale", "conect"',
            'expected "connect", "stale", "reset", "down" or "timeout", got "conect"',
        ),
        ("status", '502, "503"', 'expected a whole number, got "503"'),
        ("status", "502, 200", "expected at least 400, got 200"),
        ("status", "502, 600", "expected at most 599, got 600"),
    ],
)
def test_a_mistake_in_a_list_is_told_with_its_item(tmp_path, key, items, message):
    text = f"{POOL}retry.{key} = [{items}]"
    assert error_lines(tmp_path, text) == [f"lbg.toml:3: pools.api.retry.{key}[1]: {message}"]


@pytest.mark.parametrize(
    ("endpoint", "line"),
    [
        ("backup = 1", "[0].backup: expected true or false, got 1"),
        ("max_requests = -1", "[0].max_requests: expected at least 0, got -1"),
        ("max_request = 1", '[0].max_request: unknown key, did you mean "max_requests"?'),
    ],
)
def test_a_mistake_in_an_endpoint_is_told_with_its_number(tmp_path, endpoint, line):
    text = f'[pools.api]\nendpoints = [{{ url = "http://a", {endpoint} }}]'
    assert error_lines(tmp_path, text) == [f"lbg.toml:2: pools.api.endpoints{line}"]


RULES = [
    (
        'endpoints = [{ url = "http://a", backup = true }, { url = "http://b", backup = true }]',
        "lbg.toml:2: pools.api.endpoints: every endpoint is a backup, expected at least one that is not",
    ),
    (
        'endpoints = ["http://a", "unix:/s"]\nhealth.port = 1',
        "lbg.toml:3: pools.api.health.port: unix:/s has no port, expected 0",
    ),
    (
        'endpoints = ["unix:/s"]\nhealth = { type = "tcp", port = 1 }',
        "lbg.toml:3: pools.api.health.port: unix:/s has no port, expected 0",
    ),
    (
        'endpoints = ["http://a", "unix:/s"]\nhealth.scheme = "https"',
        "lbg.toml:3: pools.api.health.scheme: unix:/s has no host to verify, expected http",
    ),
    (
        'endpoints = ["http://a"]\nhealth.method = "head"\nhealth.expect_body = "ok"',
        "lbg.toml:4: pools.api.health.expect_body: the answer to HEAD has no body, expected another method",
    ),
    (
        'endpoints = ["http://a"]\n[pools.api.outlier]\neject = 600',
        "lbg.toml:3: pools.api.outlier.max_eject: expected at least the 600.0 of eject, got 300.0",
    ),
    (
        'endpoints = ["http://a"]\nhash_key = "path"',
        'lbg.toml:3: pools.api.hash_key: only "hash" and policies of your own heed it,'
        ' and balance is "power_of_two"',
    ),
    (
        'endpoints = ["http://a"]\nbalance = "round_robin"\nhash_bound = 150',
        'lbg.toml:4: pools.api.hash_bound: only "hash" heeds it, and balance is "round_robin"',
    ),
    (
        'endpoints = ["http://a"]\nbalance = "mine:policy"\nhash_bound = 150',
        'lbg.toml:4: pools.api.hash_bound: only "hash" heeds it, and balance is "mine:policy"',
    ),
]


@pytest.mark.parametrize(("lines", "line"), RULES)
def test_keys_that_contradict_each_other_are_told(tmp_path, lines, line):
    assert error_lines(tmp_path, f"[pools.api]\n{lines}") == [line]


def test_a_rule_of_one_pool_is_told_although_another_pool_has_a_mistake(tmp_path):
    text = (
        '[pools.a]\nendpoints = ["unix:/s"]\nhealth.port = 1\n'
        '[pools.b]\nendpoints = []\n[[routes]]\npool = "a"\n'
    )
    assert error_lines(tmp_path, text) == [
        "lbg.toml:3: pools.a.health.port: unix:/s has no port, expected 0",
        "lbg.toml:5: pools.b.endpoints: expected at least one entry, got none",
    ]


@pytest.mark.parametrize("endpoint", ["http://a", "unix:/s"])
def test_keys_that_only_an_http_check_reads_may_stand_beside_a_tcp_check(tmp_path, endpoint):
    text = (
        f'[pools.api]\nendpoints = ["{endpoint}"]\n[pools.api.health]\n'
        'type = "tcp"\nscheme = "https"\nmethod = "HEAD"\nexpect_body = "ok"\n'
    )
    (tmp_path / "lbg.toml").write_text(text)
    assert load({}, tmp_path).config.pools["api"].health.type == "tcp"


@pytest.mark.parametrize(
    "lines",
    [
        'hash_key = "client_ip"\nhash_bound = 0',  # as they are anyway
        'balance = "hash"\nhash_key = "header:X-Tenant"\nhash_bound = 125',
        'balance = "mine:policy"\nhash_key = "mine:key"',
    ],
)
def test_what_tells_requests_apart_may_stand_where_it_is_heeded(tmp_path, lines):
    (tmp_path / "lbg.toml").write_text(POOL + lines)
    assert load({}, tmp_path).config.pools["api"].hash_key


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("cert = FILE", "cert: tls.key must be set, too; it may name the same file"),
        ("key = FILE", "key: tls.cert must be set, too"),
        ("ca = OTHER", "ca: OTHER holds no certificate in PEM form"),
        ("cert = OTHER\ntls.key = FILE", "cert: OTHER holds no certificate in PEM form"),
        ("cert = FILE\ntls.key = OTHER", "key: OTHER holds no private key in PEM form"),
    ],
)
def test_files_of_tls_are_looked_at_when_the_configuration_is_loaded(tmp_path, lines, message):
    names = {"FILE": tmp_path / "both.pem", "OTHER": tmp_path / "lbg.toml"}
    names["FILE"].write_text(CERTIFICATE + KEY)
    for name, path in names.items():
        lines, message = lines.replace(name, f'"{path}"'), message.replace(name, str(path))
    (line,) = error_lines(tmp_path, f"{POOL}tls.{lines}")
    assert line.partition(": pools.api.tls.")[2] == message


def test_files_of_tls_that_hold_what_they_should_are_accepted(tmp_path):
    both = tmp_path / "both.pem"
    both.write_text(CERTIFICATE + KEY)
    (tmp_path / "lbg.toml").write_text(f'{POOL}tls = {{ ca = "{both}", cert = "{both}", key = "{both}" }}')
    assert load({}, tmp_path).config.pools["api"].tls.cert == str(both)
