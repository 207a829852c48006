"""A page in the browser, and what holds for every page: nothing from elsewhere, no error, nothing for axe to say."""

from importlib.resources import files
from typing import Any, Literal

from playwright.async_api import ConsoleMessage, Error, Page, Request, expect

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
ANSWERED_ERRORS = "Failed to load resource"
"""Chromium's line for an answer of 4xx or 5xx, or for a server that is away."""


class Watched:
    """What a page asked for and complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self._url = url
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self._page = page
        page.on("request", self._requested)
        page.on("console", self._said)
        page.on("pageerror", self._failed)

    def end(self) -> None:
        """Watch the page no longer."""
        self._page.remove_listener("request", self._requested)
        self._page.remove_listener("console", self._said)
        self._page.remove_listener("pageerror", self._failed)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((self._url, f"blob:{self._url}")):
            self.foreign.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and ANSWERED_ERRORS not in message.text:
            self.errors.append(message.text)

    def _failed(self, error: Error) -> None:
        self.errors.append(str(error))


async def use_key(page: Page, key: str) -> None:
    """Let the console have this key when it is loaded next; the page shows something else of its server."""
    await page.evaluate("key => (sessionStorage.clear(), sessionStorage.setItem('holdfast-api-key', key))", key)


async def assert_accessible(page: Page) -> None:
    """By all rules of axe-core, and by those of colours in the dark scheme too."""
    await page.evaluate(AXE)
    await _assert_no_violations(page, "light", {})
    await _assert_no_violations(page, "dark", {"runOnly": ["color-contrast"]})


async def _assert_no_violations(page: Page, scheme: Literal["light", "dark"], options: dict[str, Any]) -> None:
    await page.emulate_media(color_scheme=scheme)
    found = await page.evaluate("options => axe.run(options)", options)
    assert [_told(violation) for violation in found["violations"]] == []


def _told(violation: Any) -> str:
    return f"{violation['id']}: {violation['help']}: {[node['html'] for node in violation['nodes']]}"


async def send(page: Page, text: str) -> None:
    await page.get_by_label("Message", exact=True).fill(text)
    await page.get_by_role("button", name="Send").click()


async def shows(page: Page, *texts: str) -> None:
    for text in texts:
        await expect(page.get_by_text(text).first).to_be_visible()
