"""Refused requests: the class that the client raises, and the codes, which are never null at these addresses."""

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

from tests.conformance.azure_agents_program.client import MODEL, Agents, operation, refused


@operation("errors.missing_object")
def missing_object(agents: Agents) -> None:
    thread = f"thread_{'0' * 24}"

    refused(lambda: agents.threads.get(thread), ResourceNotFoundError, f"No thread found with id '{thread}'.")


@operation("errors.missing_parameter")
def missing_parameter(agents: Agents) -> None:
    message = "Missing required parameter: 'model'."

    refused(
        lambda: agents.client.create_agent(body={"name": "a"}), HttpResponseError, message, "missing_required_parameter"
    )


@operation("errors.unknown_parameter")
def tool_of_foundry(agents: Agents) -> None:
    body = {"model": MODEL, "tools": [{"type": "bing_grounding", "bing_grounding": {}}]}

    refused(lambda: agents.client.create_agent(body=body), HttpResponseError, "'bing_grounding'", "invalid_value")


@operation("errors.wrong_api_key")
def wrong_key(agents: Agents) -> None:
    stranger = agents.with_key("sk-wrong")

    refused(
        lambda: list(stranger.list_agents()), ClientAuthenticationError, "Incorrect API key provided", "invalid_api_key"
    )
