"""A headless Chromium for tests that drive pages; they are skipped, with the reason, where there is none.

With ``CHAINRULE_REQUIRE_BROWSER=1`` in the environment they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def _lacking(reason: str) -> None:
    if os.environ.get("CHAINRULE_REQUIRE_BROWSER") == "1":
        pytest.fail(f"{reason}, but CHAINRULE_REQUIRE_BROWSER=1")
    pytest.skip(reason)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _lacking("playwright is not installed")
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        _lacking(f"there is no browser ({', '.join(PROGRAMS)})")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A page that is open, with everything it asked for and every error it made."""

    def __init__(self, browser: Any, html: str, fragment: str = "", **options: Any) -> None:
        self.page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.route("http://page.test/", lambda route: route.fulfill(body=html, content_type="text/html"))
        self.page.goto(f"http://page.test/{fragment}")
        self.until("Boolean(window.chainrule || window.interpreter)")

    def until(self, condition: str) -> None:
        """Wait for a condition; the page lets no text be run as a script later on, so it is asked again and again."""
        for _ in range(200):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"{condition} did not come true; {self.errors}")

    def close(self) -> None:
        """Close it, having made sure that nothing went wrong and nothing was fetched besides the page itself."""
        asked = [url for url in self.requests if url.partition("#")[0] != "http://page.test/"]
        self.page.close()
        assert not self.errors, self.errors
        assert not asked, asked
