"""One server and one browser for all tests of the console; a project and a page for each."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from tests.code_runs import small_packages
from tests.console.chromium import FLAGS, chromium
from tests.console.pages import Watched
from tests.console.server import ConsoleServer, Project, running_server
from tests.provider.scripted_provider import ScriptedProvider, running_provider
from tests.web_site import WebSite, running_web_site

# For a machine that is busy with other tests.
PATIENCE_MS = 15_000
DESKTOP = {"width": 1280, "height": 800}

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
    async with await browser.new_context(viewport=DESKTOP, accept_downloads=True) as opened:
        opened.set_default_timeout(PATIENCE_MS)
        yield opened


@pytest.fixture
async def page(context: BrowserContext, server: ConsoleServer, project: Project) -> AsyncIterator[Page]:
    """A page that has the project's key and shows nothing yet. It must not ask for anything from elsewhere."""
    await context.add_init_script(f"sessionStorage.setItem('holdfast-api-key', {project.key!r})")
    opened = await context.new_page()
    watched = Watched(opened, server.url)
    yield opened
    assert watched.foreign == []
    assert watched.errors == []
