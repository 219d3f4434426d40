"""A real Chromium that does what a person at the dashboard does."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.support.waiting import eventually

WIDE = (1440, 900)
PHONE = (360, 740)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Browser:
    """A window, 1440 by 900 pixels at first."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Load a page as a new tab would: nothing is remembered."""
        self.driver.get("about:blank")
        self.size(WIDE)
        self.emulate({})
        self.driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": url, "storageTypes": "all"})
        self.driver.get(url)

    def size(self, pixels: tuple[int, int]) -> None:
        """Give the page this width and height, as a phone does; a window cannot be that narrow."""
        width, height = pixels
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def emulate(self, features: dict[str, str]) -> None:
        """Have the system prefer this, such as {"prefers-color-scheme": "dark"}."""
        media = [{"name": name, "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns in the page; promises are awaited."""
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[WebElement]:
        """Return what a CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def find(self, selector: str, timeout: float = 10.0) -> WebElement:
        """Wait for a visible element and return it."""

        def visible() -> WebElement | None:
            return next((found for found in self.all(selector) if found.is_displayed()), None)

        found = eventually(visible, timeout, f"{selector} on the page")
        assert found is not None
        return found

    def text(self, selector: str) -> str:
        """Return the text of the first match in one read, empty without one: rows may be exchanged."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.run(script, selector))

    def wait_for_text(self, selector: str, text: str, timeout: float = 10.0) -> str:
        """Wait until the text of the first match contains this."""

        def there() -> str:
            shown = self.text(selector)
            assert text in shown, shown
            return shown

        return eventually(there, timeout, f"{text!r} in {selector}")

    def press(self, *keys: str) -> None:
        """Type on whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def tab(self) -> str:
        """Press Tab and return the accessible name of what has the focus then."""
        self.press(Keys.TAB)
        return str(self.driver.switch_to.active_element.accessible_name)

    def complaints(self) -> list[str]:
        """Return what the browser has logged as wrong since the last call, but not that nobody answered."""
        logged: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        wrong = [entry["message"] for entry in logged if entry["level"] in {"SEVERE", "WARNING"}]
        return [message for message in wrong if "net::ERR_" not in message]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Run Debian's Chromium with a profile of its own; nothing is downloaded."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
