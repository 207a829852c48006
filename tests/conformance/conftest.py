"""The server of all these tests: a start of the program takes as long as most of them."""

from collections.abc import Iterator

import pytest

from tests.conformance.clients import CLIENTS
from tests.conformance.server import serving
from tests.web_site import WebSite, running_web_site


@pytest.fixture(scope="package")
def site() -> Iterator[WebSite]:
    """The one site that the server may read."""
    with running_web_site() as running:
        yield running


@pytest.fixture(scope="package")
def url(site: WebSite) -> Iterator[str]:
    """The API's; each client's name is a key, and so are those of the programs that are no client's."""
    # A project each, or programs would find each other's assistants in their lists.
    projects = [*(client.name for client in CLIENTS), "beta-v1", "opengpts", "opengpts-web"]
    with serving(projects, HOLDFAST_WEB_ALLOWED_HOSTS=site.host, HOLDFAST_WEB_SEARCH="off") as url:
        yield url
