GOOD = """\
[pools.api]
endpoints = ["http://a", "http://b", "http://c"]
[pools.web]
endpoints = ["http://a", "http://b"]
[[routes]]
path = "/api"
pool = "api"
[[routes]]
path = "/v1"
pool = "api"
[[routes]]
pool = "web"
"""


def test_a_good_file_is_summed_up_in_one_line(command, tmp_path):
    (tmp_path / "lbg.toml").write_text(GOOD)
    assert command("check") == (0, "lbg.toml: ok, 2 pools, 5 endpoints, 3 routes\n", "")


def test_the_file_can_be_named(command, tmp_path, monkeypatch):
    (tmp_path / "lbg.toml").write_text("not toml")
    (tmp_path / "one.toml").write_text('[pools.api]\nendpoints = ["http://a"]\n')
    monkeypatch.setenv("LBG_CONFIG", "absent.toml")
    assert command("check", "one.toml") == (0, "one.toml: ok, 1 pool, 1 endpoint, 1 route\n", "")


def test_the_environment_alone_can_be_checked(command, monkeypatch):
    monkeypatch.setenv("LBG_ENDPOINTS", "http://a,http://b")
    assert command("check") == (0, "LBG_ENDPOINTS: ok, 1 pool, 2 endpoints, 1 route\n", "")


def test_each_problem_is_a_line_on_stderr_and_the_status_is_2(command, tmp_path):
    (tmp_path / "lbg.toml").write_text("[server]\nworkers = 'x'\n[pools.api]\n")
    assert command("check") == (
        2,
        "",
        'lbg.toml:2: server.workers: expected a whole number, got "x"\n'
        "lbg.toml:3: pools.api.endpoints: missing, this key is required\n",
    )


def test_a_missing_file_is_told(command):
    assert command("check", "absent.toml") == (
        2,
        "",
        "absent.toml: cannot be read: no such file or directory\n",
    )


def test_an_empty_file_name_is_refused(command):
    assert command("check", "") == (2, "", "lbg check: expected a file name\n")


def test_python_that_cannot_be_loaded_is_a_problem_of_its_line(command, tmp_path):
    (tmp_path / "lbg.toml").write_text(
        '[pools.api]\nendpoints = ["http://a"]\n'
        '[[routes]]\npool = "api"\nfilters = ["hooks:tag", "hooks:tga"]\n'
    )
    (tmp_path / "hooks.py").write_text("def tag(app): ...\n")
    assert command("check") == (
        2,
        "",
        'lbg.toml:5: routes[0].filters[1].use: module "hooks" has no attribute "tga", did you mean "tag"?\n',
    )


def test_what_keeps_a_check_from_being_made_is_told(command, tmp_path, monkeypatch):
    def verify(*_):
        raise OSError(11, "Resource temporarily unavailable")

    (tmp_path / "lbg.toml").write_text('[pools.api]\nendpoints = ["http://a"]\nbalance = "hooks:policy"\n')
    monkeypatch.setattr("lbg.hooks.verify.verify", verify)
    assert command("check") == (
        2,
        "",
        "lbg check: no process can be started: resource temporarily unavailable\n",
    )


def test_traces_that_cannot_be_exported_are_a_warning(command, tmp_path, monkeypatch):
    monkeypatch.setattr("lbg.telemetry.otlp._installed", lambda name: False)
    (tmp_path / "lbg.toml").write_text(
        '[tracing]\notlp = "http://otel:4318"\n[pools.api]\nendpoints = ["http://a"]\n'
    )
    status, said, warned = command("check")
    assert (status, said) == (0, "lbg.toml: ok, 1 pool, 1 endpoint, 1 route\n")
    assert warned.startswith("warning: lbg.toml: tracing.otlp is set, but no traces are exported: ")
