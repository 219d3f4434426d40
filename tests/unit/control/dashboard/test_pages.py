"""The files of the dashboard as the admin listener sends them."""

import re
from importlib.resources import files

import pytest

from lbg.control import dashboard
from lbg.control.dashboard.pages import load
from tests.unit.control.control_app import Answer, app

STATIC = files(dashboard) / "static"
OURS = sorted(entry.name for entry in STATIC.iterdir() if not entry.name.startswith("uPlot"))
SCRIPTS = [name for name in OURS if name.endswith(".js")]
MARKUP_FROM_TEXT = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|createContextualFragment|DOMParser"
    r"|setHTML|eval\(|new Function|javascript:"
)


def text(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def test_the_page_is_at_the_root() -> None:
    answer = Answer(app(), "/")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>lbg</title>" in answer.body


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("uPlot.iife.min.js", "text/javascript; charset=utf-8"),
    ],
)
def test_its_files_are_sent_with_their_type(name: str, content_type: str) -> None:
    answer = Answer(app(), f"/dashboard/{name}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
    assert answer.body == (STATIC / name).read_bytes()


@pytest.mark.parametrize("name", ["nothing.js", "../pages.py", "uPlot.LICENSE", "", "static/app.js"])
def test_nothing_else_is_sent(name: str) -> None:
    assert Answer(app(), f"/dashboard/{name}").status == 404


@pytest.mark.parametrize("path", ["/", "/dashboard/app.js"])
def test_a_file_that_the_browser_has_is_not_sent_again(path: str) -> None:
    first = Answer(app(), path)
    assert first.headers["Cache-Control"] == "no-cache"
    again = Answer(app(), path, HTTP_IF_NONE_MATCH=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert Answer(app(), path, HTTP_IF_NONE_MATCH='"other"').status == 200


def test_numbers_are_never_stored() -> None:
    assert Answer(app(), "/api/v1/status").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/dashboard/app.js", "/api/v1/status", "/nothing"])
def test_a_browser_may_run_nothing_but_our_scripts(path: str) -> None:
    headers = Answer(app(), path).headers
    policy = headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} <= set(
        policy
    )
    assert {"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", *(f"/dashboard/{name}" for name in load())])
def test_the_page_comes_without_the_token(path: str) -> None:
    assert Answer(app(token="secret"), path).status == 200


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/nothing", "/api/v1/status"])
def test_all_else_does_not(path: str) -> None:
    assert Answer(app(token="secret"), path).status == 401


@pytest.mark.parametrize("path", ["/", "/dashboard/app.js"])
def test_without_a_token_the_page_is_not_for_names_of_others(path: str) -> None:
    assert Answer(app(), path, HTTP_HOST="evil.example").status == 403


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_makes_no_markup_from_text(name: str) -> None:
    assert MARKUP_FROM_TEXT.findall(text(name)) == []


def test_uplot_does_not_either() -> None:
    found = set(MARKUP_FROM_TEXT.findall(text("uPlot.iife.min.js")))
    assert found == set()


def test_the_page_has_no_inline_script_or_style() -> None:
    page = text("page.html")
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", page) == []


@pytest.mark.parametrize("name", OURS)
def test_nothing_comes_from_another_place(name: str) -> None:
    found = re.findall(
        r"(?:https?:)?//[\w.]+\.\w+[^\s\"']*", text(name).replace("http://www.w3.org/2000/svg", "")
    )
    assert found == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_a_script_imports_is_there(name: str) -> None:
    imported = re.findall(r'from "\./([\w.]+)"', text(name))
    assert set(imported) <= set(SCRIPTS)


def test_what_the_page_names_is_there() -> None:
    named = re.findall(r'(?:src|href)="dashboard/([^"]+)"', text("page.html"))
    assert named
    assert set(named) <= set(load())


def test_uplot_comes_with_its_license_and_version() -> None:
    assert "Permission is hereby granted" in text("uPlot.LICENSE")
    assert "(v1.6.32)" in text("uPlot.iife.min.js")[:100]
