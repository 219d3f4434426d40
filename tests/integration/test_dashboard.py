"""The dashboard in a real browser, mostly on a real lbg."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.browser import PHONE, Browser, chromium
from tests.support.client import fetch
from tests.support.fake_admin import FakeAdmin, endpoint, pool
from tests.support.lbg import LbgProcess, one_pool
from tests.support.waiting import eventually

pytestmark = pytest.mark.needs("chromium", "chromedriver")

Calm = tuple[LbgProcess, Backend]

SOON = 4.0  # seconds: an interval of checks and a poll of the page
ROWS = "#pool-list tbody tr"
HOSTILE = "<img src=x onerror='window.ran = 1'><script>window.ran = 1</script>"


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Run one browser for all tests of this module."""
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calm]:
    """Run an lbg over one backend, which each test leaves up and ready."""
    with Backend() as backend:
        with LbgProcess(one_pool(backend.url), tmp_path_factory.mktemp("calm")) as process:
            yield process, backend


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Browser]:
    """Lend the browser; a page that complained fails its test."""
    yield chrome
    complaints = chrome.complaints()
    chrome.driver.get("about:blank")
    assert complaints == []


@pytest.fixture
def full_page() -> Iterator[FakeAdmin]:
    """Run an admin listener with something in every part of the page."""
    pools = {
        "api": pool(
            endpoint("api", 1),
            endpoint("api", 2, state="down", reason="connect refused", usable=False),
            endpoint("api", 3, state="ejected", reason="server errors", usable=False),
            endpoint("api", 4, state="draining", admin="drain", reason="set by an operator", usable=False),
            endpoint("api", 5, weight=7, backup=True),
        ),
        "web": pool(
            endpoint("web", 6, state="maint", admin="maint", usable=False),
            endpoint("web", 7, state="stale", reason="not checked for 14 s; the last time: status 200"),
            endpoint("web", 8, state="unknown", reason="not checked yet", for_seconds=None, last_check=None),
            endpoint("web", 9, url="unix:/run/" + "very-long-name/" * 8, name="unix:/run/long"),
        ),
    }
    with FakeAdmin(pools) as admin:
        admin.traces = [trace("t1", path="/v1/" + "long/" * 40), trace("t2", kind="slow", status=200)]
        admin.bans = [ban("203.0.113.9"), ban("/v1/" + "reports/" * 30)]
        admin.events = [event(1, "down", "connect refused"), event(2, "up", "status 200")]
        admin.config = {"server": {"bind": ["0.0.0.0:8080"]}, "routes": [{"pool": "api"}]}
        yield admin


def trace(trace_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": trace_id,
        "at": "2026-01-01T12:00:00.000Z",
        "kind": "failed",
        "method": "GET",
        "host": "example.com",
        "path": "/v1",
        "status": 503,
        "reason": "connect_refused",
        "route": "example.com/v1",
        "pool": "api",
        "endpoint": "10.0.0.2:8000",
        "took_ms": 2.1,
        "sentence": "Both endpoints refused the connection.",
        "filters": ["rate_limit"],
        "candidates": [{"endpoint": "10.0.0.2:8000", "usable": False, "why": "down since 12:01:03"}],
        "attempts": [
            {
                "endpoint": "10.0.0.2:8000",
                "status": None,
                "error": "connect_refused",
                "text": "Connection refused",
                "connect_ms": 0.4,
                "ttfb_ms": None,
                "ms": 0.5,
                "reused": False,
            }
        ],
        "queue_ms": 12.5,
        "setting": "pools.api.retry.attempts",
        "advice": "Look at why both refuse.",
        "trace_id": "4bf92f",
        "steps": [{"text": "The route example.com/v1 matched."}],
        **changes,
    }


def ban(key: str) -> dict[str, Any]:
    why = "61 rejections within a minute"
    return {"limit": "api/rate_limit", "key": key, "seconds_left": 42.0, "times": 1, "reason": why}


def event(number: int, kind: str, text: str) -> str:
    time = f"2026-01-01T12:00:0{number}.000Z"
    place = {"pool": "api", "endpoint": "http://10.0.0.2:8000"}
    return json.dumps({"id": number, "time": time, "kind": kind, "text": text, "after_seconds": 5.0, **place})


def row_of(backend: Backend) -> str:
    """Return the selector of an endpoint's row: its buttons name it."""
    return f'{ROWS}:has([aria-label="Drain main/{backend.url.removeprefix("http://")}"])'


def wait_for_state(browser: Browser, backend: Backend, state: str, timeout: float = 10.0) -> None:
    browser.wait_for_text(f"{row_of(backend)} .state", state, timeout)


def press(browser: Browser, backend: Backend, admin: str) -> None:
    browser.find(f'{row_of(backend)} [data-admin="{admin}"]').click()


def test_the_page_shows_the_endpoints_and_complains_of_nothing(browser: Browser, calm: Calm) -> None:
    process, backend = calm
    browser.open(f"{process.admin_url}/")
    wait_for_state(browser, backend, "UP")
    assert browser.text("#numbers dd") == "1 of 1"
    assert "status 200" in browser.text(f"{row_of(backend)} .reason")
    assert "generation 1" in browser.text("#about")
    assert browser.driver.title == "lbg"


def test_an_endpoint_that_dies_is_down_at_once_with_its_reason(
    browser: Browser, lbg: StartLbg, backend: Backend
) -> None:
    with Backend() as other:
        process = lbg(one_pool(backend.url, other.url))  # checked every 3 s, as usual
        browser.open(f"{process.admin_url}/")
        wait_for_state(browser, backend, "UP")
        browser.wait_for_text("#following", "live")
        backend.stop()
        wait_for_state(browser, backend, "DOWN", SOON * 2)
        assert "bad" in browser.find(f"{row_of(backend)} .state").get_attribute("class")
        assert browser.text(f"{row_of(backend)} .reason") == "connect refused"
        browser.wait_for_text("#event-list li", "down", SOON)
        assert f"main/{backend.url.removeprefix('http://')} is DOWN: connect refused" in browser.text(
            "#announcer"
        )
        assert browser.driver.title == "1 down · lbg"


def test_an_endpoint_is_drained_and_readied_by_its_buttons(browser: Browser, calm: Calm) -> None:
    process, backend = calm
    browser.open(f"{process.admin_url}/")
    press(browser, backend, "drain")
    wait_for_state(browser, backend, "DRAINING")
    assert process.endpoint(backend.url)["admin"] == "drain"
    assert browser.find(f'{row_of(backend)} [data-admin="drain"]').get_attribute("aria-pressed") == "true"
    press(browser, backend, "ready")
    wait_for_state(browser, backend, "UP")
    assert process.endpoint(backend.url)["admin"] == "ready"


def test_maintenance_begins_only_when_it_is_confirmed(browser: Browser, calm: Calm) -> None:
    process, backend = calm
    browser.open(f"{process.admin_url}/")
    press(browser, backend, "maint")
    browser.find('#confirm button[value="cancel"]').click()
    assert process.endpoint(backend.url)["admin"] == "ready"
    press(browser, backend, "maint")
    browser.find("#confirm-yes").click()
    wait_for_state(browser, backend, "MAINT")
    assert process.endpoint(backend.url)["admin"] == "maint"
    press(browser, backend, "ready")
    wait_for_state(browser, backend, "UP")


def test_a_weight_is_changed(browser: Browser, calm: Calm) -> None:
    process, backend = calm
    browser.open(f"{process.admin_url}/")
    browser.find(f"{row_of(backend)} button.weight").click()
    browser.find("#weight-input").clear()
    browser.find("#weight-input").send_keys("7\n")
    browser.wait_for_text(f"{row_of(backend)} button.weight", "7")
    assert process.endpoint(backend.url)["weight"] == 7


def test_a_ban_is_lifted_by_its_button(browser: Browser, lbg: StartLbg, backend: Backend) -> None:
    limit = {"use": "rate_limit", "rate": "1/h", "key": "client_ip", "ban_after": 2, "ban": 600.0}
    config = {**one_pool(backend.url), "routes": [{"pool": "main", "filters": [limit]}]}
    process = lbg(config)
    for _ in range(4):
        fetch(process.address)
    browser.open(f"{process.admin_url}/")
    browser.wait_for_text("#ban-list", "127.0.0.1")
    browser.find('button[aria-label="Unban 127.0.0.1"]').click()
    browser.wait_for_text("#ban-list", "Nobody is banned.")
    assert process.ask("/api/v1/bans")["total"] == 0


def test_the_token_is_asked_for_until_it_is_right(browser: Browser, lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), env={"LBG_ADMIN__TOKEN": "secret"}, workers=1)
    browser.open(f"{process.admin_url}/")
    browser.find("#token-input").send_keys("wrong\n")
    browser.wait_for_text("#token-text", "wrong")
    browser.find("#token-input").send_keys("secret\n")
    wait_for_state(browser, backend, "UP")
    browser.wait_for_text("#following", "live")
    press(browser, backend, "drain")
    wait_for_state(browser, backend, "DRAINING")
    browser.find("#forget").click()
    browser.find("#token-input")
    assert backend.url not in browser.text("main")
    assert all("401" in complaint for complaint in browser.complaints())


def test_a_page_without_answers_says_since_when_and_recovers(browser: Browser) -> None:
    pools = {"api": pool(endpoint("api", 1))}
    with FakeAdmin(pools) as admin:
        browser.open(admin.url)
        browser.wait_for_text(ROWS, "UP")
        assert not browser.all("#banner")[0].is_displayed()
    told = browser.wait_for_text("#banner", "No answer since")
    assert "trying again" in told
    assert browser.run("return getComputedStyle(document.querySelector('main')).filter") == "grayscale(1)"
    with FakeAdmin(pools, port=admin.port):
        eventually(lambda: not browser.all("#banner")[0].is_displayed(), 10, "the banner to go")


def test_a_failed_request_is_explained(browser: Browser, full_page: FakeAdmin) -> None:
    browser.open(full_page.url)
    browser.find('#trace-list button[data-id="t1"]').click()
    shown = browser.wait_for_text("#trace-body", "Both endpoints refused")
    for told in (
        "Look at why both refuse.",
        "Connection refused",
        "down since 12:01:03",
        "rate_limit",
        "matched",
    ):
        assert told in shown
    assert "pools.api.retry.attempts" in shown


def test_the_id_of_a_request_is_copied_by_its_button(browser: Browser, full_page: FakeAdmin) -> None:
    browser.open(full_page.url)
    browser.find('#trace-list button[data-id="t1"]').click()
    assert browser.wait_for_text("#trace-body", "Request id").count("t1") == 1
    copied = "window.copied = null; navigator.clipboard.writeText = async (text) => { window.copied = text; }"
    browser.run(copied)
    browser.find('#trace-body button[aria-label="Copy the request id"]').click()
    browser.wait_for_text("#trace-body dd button", "copied")
    assert browser.run("return window.copied") == "t1"


def test_the_id_is_selected_where_the_browser_has_no_clipboard(
    browser: Browser, full_page: FakeAdmin
) -> None:
    browser.open(full_page.url)
    browser.find('#trace-list button[data-id="t1"]').click()
    browser.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    browser.find('#trace-body button[aria-label="Copy the request id"]').click()
    browser.wait_for_text("#trace-body dd button", "selected")
    assert browser.run("return getSelection().toString()") == "t1"


def test_a_client_that_left_is_no_failure(browser: Browser, full_page: FakeAdmin) -> None:
    full_page.traces = [trace("t1"), trace("t2", status=200, reason="client_gone")]
    browser.open(full_page.url)
    browser.wait_for_text("#trace-list tr:has([data-id=t2]) .state", "client left")
    assert "neutral" in browser.find("#trace-list tr:has([data-id=t2]) .state").get_attribute("class")
    assert "bad" in browser.find("#trace-list tr:has([data-id=t1]) .state").get_attribute("class")


def test_an_event_tells_how_long_it_was_otherwise_before(browser: Browser, full_page: FakeAdmin) -> None:
    full_page.events = [event(1, "down", "connect refused"), event(2, "weight", "weight 7")]
    browser.open(full_page.url)
    browser.wait_for_text("#event-list li:last-child", "connect refused (was up for 5 s)")
    assert browser.text("#event-list li:first-child .what").endswith("weight 7")


def test_the_configuration_is_shown(browser: Browser, full_page: FakeAdmin) -> None:
    browser.open(full_page.url)
    browser.find("#config-list summary").click()
    browser.wait_for_text("#config-list pre", "0.0.0.0:8080")


def test_what_was_added_and_removed_is_told(browser: Browser, full_page: FakeAdmin) -> None:
    full_page.amendments = {"added": ["api/c:3"], "removed": ["api/a:1", "api/b:2"]}
    browser.open(full_page.url)
    browser.wait_for_text(
        "#config-source", "lbg.toml, without api/a:1 and api/b:2 (lbg remove), with api/c:3 (lbg add)"
    )


def test_a_configuration_that_was_not_taken_up_is_told_until_it_is(
    browser: Browser, full_page: FakeAdmin
) -> None:
    full_page.config_error = {"since": "2025-06-16T10:01:03Z", "mistakes": ["lbg.toml:3: x", HOSTILE]}
    browser.open(full_page.url)
    told = browser.wait_for_text("#trouble", "lbg.toml was not taken up since")
    assert f"lbg.toml:3: x; {HOSTILE}" in told
    full_page.config_error = None
    eventually(lambda: not browser.all("#trouble")[0].is_displayed(), 10, "the banner to go")


def test_what_others_said_is_never_markup(browser: Browser) -> None:
    pools = {HOSTILE: pool(endpoint(HOSTILE, 1, state="down", reason=HOSTILE, usable=False, url=HOSTILE))}
    with FakeAdmin(pools) as admin:
        admin.traces = [trace("t1", path=HOSTILE, sentence=HOSTILE, host=HOSTILE, advice=HOSTILE)]
        admin.bans = [ban(HOSTILE)]
        admin.events = [event(1, HOSTILE, HOSTILE)]
        admin.config = {HOSTILE: {HOSTILE: HOSTILE}}
        browser.open(admin.url)
        for place in ("#pool-list", "#trace-list", "#ban-list", "#event-list", "#config-list"):
            browser.wait_for_text(place, HOSTILE)
        browser.find("#trace-list button").click()
        browser.wait_for_text("#trace-body", HOSTILE)
        assert browser.all("main img, main script, dialog img, dialog script") == []
        assert browser.run("return window.ran ?? null") is None


def test_many_endpoints_are_found_by_words_and_by_need(browser: Browser) -> None:
    many = [endpoint("api", number) for number in range(199)]
    bad = endpoint("api", 199, state="down", reason="connect refused", usable=False)
    with FakeAdmin({"api": pool(*many, bad)}) as admin:
        browser.open(admin.url)
        browser.wait_for_text("#shown", "200 endpoints")
        browser.find("#filter").send_keys("REFUSED api")
        browser.wait_for_text("#shown", "1 of 200 endpoints")
        assert len([row for row in browser.all(ROWS) if row.is_displayed()]) == 1
        browser.find("#filter").clear()
        browser.find("#unusable").click()
        browser.wait_for_text("#shown", "1 of 200 endpoints")


def test_a_page_that_nobody_sees_asks_less_and_follows_no_events(
    browser: Browser, full_page: FakeAdmin
) -> None:
    browser.open(full_page.url)
    browser.wait_for_text("#following", "live")
    hide = "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
    browser.run(f"{hide} document.dispatchEvent(new Event('visibilitychange'))", True)
    browser.wait_for_text("#following", "not connected")
    pauses = browser.run(
        """const {Poller} = await import('/dashboard/polling.js');
        const pauses = [], real = window.setTimeout;
        window.setTimeout = (act, pause) => { pauses.push(pause); return 0; };
        await new Poller(async () => {}, 2).now();
        window.setTimeout = real;
        return pauses"""
    )
    assert pauses == [20000]
    browser.run(f"{hide} document.dispatchEvent(new Event('visibilitychange'))", False)
    browser.wait_for_text("#following", "live")


def test_a_phone_scrolls_in_one_direction_only(browser: Browser, full_page: FakeAdmin) -> None:
    browser.open(full_page.url)
    browser.wait_for_text(ROWS, "UP")
    browser.wait_for_text("#trace-list", "example.com")
    browser.wait_for_text("#ban-list", "203.0.113.9")
    browser.size(PHONE)
    for summary in browser.all("#config-list summary"):
        summary.click()
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
    browser.find('#trace-list button[data-id="t1"]').click()
    browser.wait_for_text("#trace-body", "Both endpoints refused")
    assert browser.run("return document.documentElement.scrollWidth") <= PHONE[0]
    assert browser.run("return document.querySelector('#trace').scrollWidth") <= PHONE[0]


CONTRAST = """
const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
const part = (value) => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const colour = numbers(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
};
const poor = [];
let seen = 0;
for (const node of document.querySelectorAll('body *')) {
  const text = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
  if (!(text || node.matches("input")) || node.closest("noscript, option")) continue;
  if (!node.checkVisibility()) continue;
  const [a, b] = [light(numbers(getComputedStyle(node).color)), light(ground(node))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  seen += 1;
  if (ratio < 4.5) poor.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)} ${node.textContent}`);
}
return [seen, [...new Set(poor)]];
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_can_be_read_in_both_themes(browser: Browser, full_page: FakeAdmin, theme: str) -> None:
    browser.open(full_page.url)
    browser.emulate({"prefers-color-scheme": theme, "prefers-reduced-motion": "reduce"})
    browser.wait_for_text("#trace-list", "example.com")
    browser.wait_for_text("#ban-list", "203.0.113.9")
    browser.find('#trace-list button[data-id="t1"]').click()
    browser.wait_for_text("#trace-body", "Both endpoints refused")
    seen, poor = browser.run(CONTRAST)
    assert seen > 150
    assert poor == []


def test_the_theme_can_be_chosen_and_is_kept(browser: Browser, full_page: FakeAdmin) -> None:
    browser.open(full_page.url)
    browser.emulate({"prefers-color-scheme": "light"})
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ground)
    browser.find("#theme").send_keys("Theme: dark")
    dark = browser.run(ground)
    assert dark != light
    browser.driver.refresh()
    eventually(lambda: browser.run(ground) == dark, 5, "the page to be dark again")
    browser.emulate({"prefers-color-scheme": "dark"})
    browser.find("#theme").send_keys("Theme: light")
    assert browser.run(ground) == light


def test_everything_is_reached_and_used_by_keyboard(browser: Browser, calm: Calm) -> None:
    process, backend = calm
    browser.open(f"{process.admin_url}/")
    wait_for_state(browser, backend, "UP")
    name = f"main/{backend.url.removeprefix('http://')}"
    reached = [browser.tab() for _ in range(13)]
    assert reached[0] == "Skip to the endpoints"
    for wanted in ("Theme", "only not usable", f"Ready {name}", f"Drain {name}", f"Maint {name}"):
        assert any(each.startswith(wanted) for each in reached), (wanted, reached)
    assert any(each.startswith("Weight ") for each in reached)
    while browser.tab() != f"Drain {name}":
        pass
    outline = "const style = getComputedStyle(document.activeElement); return style.outlineStyle"
    assert browser.run(outline) == "solid"
    browser.press(" ")
    wait_for_state(browser, backend, "DRAINING")
    assert browser.driver.switch_to.active_element.accessible_name == f"Drain {name}"
    press(browser, backend, "ready")
    wait_for_state(browser, backend, "UP")


def test_the_page_tells_its_structure_to_those_who_do_not_see_it(
    browser: Browser, full_page: FakeAdmin
) -> None:
    browser.open(full_page.url)
    browser.wait_for_text("#trace-list", "example.com")
    browser.wait_for_text("#ban-list", "203.0.113.9")
    assert browser.run("return document.documentElement.lang") == "en"
    assert "width=device-width" in browser.all('meta[name="viewport"]')[0].get_attribute("content")
    assert [len(browser.all(landmark)) for landmark in ("header", "nav", "main", "h1")] == [1, 1, 1, 1]
    nameless = [
        each.get_attribute("outerHTML")
        for each in browser.all("button, input, select, a, main section, [role=group], summary")
        if each.is_displayed() and not each.accessible_name
    ]
    assert nameless == []
    assert browser.run("return [...document.querySelectorAll('table')].every((table) => table.caption)")
    assert browser.all("th:not([scope])") == []
    assert browser.all("[aria-live=polite], [role=status]")
    levels = [int(each.tag_name[1]) for each in browser.all("main h2, main h3")]
    assert levels[0] == 2
