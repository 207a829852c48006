"""The server of all these tests: a start of the program takes as long as most of them."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.conformance.clients import CLIENTS
from tests.conformance.server import serving, serving_here
from tests.conftest import settings_for
from tests.provider.scripted_provider import running_provider
from tests.web_site import WebSite, running_web_site

# A project each, or programs would find each other's assistants in their lists.
PROJECTS = [*(client.name for client in CLIENTS), "beta-v1", "opengpts", "opengpts-web"]


@pytest.fixture(scope="package")
def site() -> Iterator[WebSite]:
    """The one site that the server may read."""
    with running_web_site() as running:
        yield running


@pytest.fixture(scope="package")
async def url(
    request: pytest.FixtureRequest,
    site: WebSite,
    temporal_port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[str]:
    """The API's; each client's name is a key, and so are those of the programs that are no client's.

    The program's own, but for the one client of `make test`: API and worker are in this process, which saves its start.
    """
    if any(item.get_closest_marker("conformance") for item in request.session.items):
        with serving(PROJECTS, HOLDFAST_WEB_ALLOWED_HOSTS=site.host, HOLDFAST_WEB_SEARCH="off") as url:
            yield url
    else:
        # Its own provider: other tests script models of the same names.
        with running_provider() as provider:
            settings = settings_for(tmp_path_factory.mktemp("conformance"), temporal_port, provider)
            async with serving_here(PROJECTS, provider, settings) as url:
                yield url
