"""Programs written against the official SDKs work as they did with OpenAI."""

import asyncio

import pytest

from tests.conformance.clients import CLIENTS, NEWEST_PYTHON, Client
from tests.conformance.outcomes import Outcomes, operations_of, try_all

pytestmark = [
    # One group, so that all share one server.
    pytest.mark.xdist_group("conformance"),
    # The first test also waits for the clients to be installed, once, and for all their operations.
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
async def outcomes(request: pytest.FixtureRequest, url: str) -> Outcomes:
    """Of the clients that the selected tests name."""
    parameters = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    clients = [client for client in CLIENTS if any(each.get("client") is client for each in parameters)]
    return await asyncio.to_thread(try_all, clients, url)


@pytest.mark.parametrize(
    ("client", "operation"),
    [
        pytest.param(
            client,
            operation,
            id=f"{client.name} {operation}",
            marks=() if client == NEWEST_PYTHON else pytest.mark.conformance,
        )
        for client in CLIENTS
        for operation in operations_of(client)
    ],
)
def test_operation_is_as_the_sdk_expects(outcomes: Outcomes, client: Client, operation: str) -> None:
    outcome = outcomes.of(client, operation)

    assert outcome is not None
    assert outcome.problem is None, outcome.problem
