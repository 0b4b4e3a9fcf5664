"""Chromium, driven by chromedriver: Debian's packages ``chromium`` and ``chromium-driver``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver

from tests.support.programs import program

OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
SIZE = 1280, 900
WAIT_S = 30
"""How long something that is looked for may take to be there: the machine may be busy."""


@contextmanager
def chromium() -> Iterator[WebDriver]:
    """A browser with nothing in it; skips the test, or fails it, where there is none."""
    options = webdriver.ChromeOptions()
    for option in (*OPTIONS, f"--window-size={SIZE[0]},{SIZE[1]}"):
        options.add_argument(option)
    options.binary_location = program("chromium")
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
    driver.implicitly_wait(WAIT_S)
    try:
        yield driver
    finally:
        driver.quit()


def emulate(driver: WebDriver, *, dark: bool = False, width: int | None = None) -> None:
    """Have pages be shown in the dark, or on a screen ``width`` pixels wide."""
    scheme = "dark" if dark else "light"
    features: list[dict[str, Any]] = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    if width is None:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    else:
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
