"""One server, one browser and mostly one page for all tests of the console; a project for each."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright, expect

from tests.code_runs import small_packages
from tests.console.chromium import FLAGS, chromium
from tests.console.pages import Watched, use_key
from tests.console.server import ConsoleServer, Project, running_server
from tests.provider.scripted_provider import ScriptedProvider, running_provider
from tests.web_site import WebSite, running_web_site

# For a machine that is busy with other tests.
PATIENCE_MS = 15_000
DESKTOP: ViewportSize = {"width": 1280, "height": 800}

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="package")
def models() -> Iterator[ScriptedProvider]:
    """Of its own: the tests' other one forgets now and then."""
    with running_provider() as running:
        yield running


@pytest.fixture(scope="package")
def site() -> Iterator[WebSite]:
    """What `web_retrieval` may open."""
    with running_web_site() as running:
        yield running


@pytest.fixture(scope="package")
def server(
    models: ScriptedProvider, site: WebSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConsoleServer]:
    """With a sandbox for code."""
    with small_packages() as packages:
        settings = {
            "HOLDFAST_SANDBOX_URL": "",
            "HOLDFAST_SANDBOX_PACKAGES_DIR": str(packages),
            "HOLDFAST_WEB_ALLOWED_HOSTS": site.host,
            "HOLDFAST_WEB_SEARCH": "off",
        }
        with running_server(tmp_path_factory.mktemp("console"), models, **settings) as running:
            yield running


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    found = await asyncio.to_thread(chromium)
    environment = {**os.environ, **found.environment}
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=found.program, args=[*FLAGS], env=environment)
        async with launched:
            yield launched


@pytest.fixture
async def project(server: ConsoleServer) -> AsyncIterator[Project]:
    """Empty."""
    made = server.new_project()
    yield made
    await made.close()


@pytest.fixture
async def context(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with _opened_context(browser) as opened:
        yield opened


@pytest.fixture(scope="package")
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """Of all tests that ask for a page: a load in a new one takes twice as long."""
    async with _opened_context(browser) as opened:
        yield await opened.new_page()


@pytest.fixture
async def page(tab: Page, server: ConsoleServer, project: Project) -> AsyncIterator[Page]:
    """A page that has the project's key and shows nothing yet. It must not ask for anything from elsewhere."""
    await tab.set_viewport_size(DESKTOP)
    await tab.emulate_media(color_scheme="light")
    await tab.mouse.move(0, 0)
    # Not blank: another process would load the console.
    await tab.goto(f"{server.url}/health")
    await use_key(tab, project.key)
    watched = Watched(tab, server.url)
    yield tab
    await tab.unroute_all(behavior="ignoreErrors")
    watched.end()
    assert watched.foreign == []
    assert watched.errors == []


@asynccontextmanager
async def _opened_context(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with await browser.new_context(viewport=DESKTOP, accept_downloads=True) as opened:
        opened.set_default_timeout(PATIENCE_MS)
        yield opened
