from datetime import UTC, datetime

from azure.core.exceptions import ResourceNotFoundError

from tests.conformance.azure_agents_program.client import MODEL, Agents, operation, refused
from tests.conformance.scenario import equal

HOUR_SECONDS = 3600


@operation("assistants.create")
def create_agent(agents: Agents) -> None:
    agent = agents.agent(description="Helps", metadata={"a": "1"}, temperature=0.5, top_p=0.25)

    equal((agent.name, agent.description, agent.instructions), ("Guide", "Helps", "Be brief."))
    equal((agent.object, agent.model, agent.temperature, agent.top_p), ("assistant", MODEL, 0.5, 0.25))
    equal((agent.tools, dict(agent.metadata)), ([], {"a": "1"}))
    equal(abs((datetime.now(UTC) - agent.created_at).total_seconds()) < HOUR_SECONDS, True)


@operation("assistants.retrieve")
def get_agent(agents: Agents) -> None:
    agent = agents.agent_with_function()

    equal(agents.client.get_agent(agent.id), agent)
    equal(agent.tools[0].function.name, "get_weather")


@operation("assistants.update")
def update_agent(agents: Agents) -> None:
    agent = agents.agent(metadata={"a": "1", "b": "2"})

    updated = agents.client.update_agent(agent.id, instructions="Be long.", metadata={"b": "3"})

    equal((updated.instructions, updated.name, dict(updated.metadata)), ("Be long.", "Guide", {"a": "1", "b": "3"}))


@operation("assistants.list")
def list_agents(agents: Agents) -> None:
    first, second, third = (agents.agent() for _ in range(3))

    newest = [agent.id for agent, _ in zip(agents.client.list_agents(limit=2), range(3), strict=False)]

    equal(newest, [third.id, second.id, first.id])


@operation("assistants.delete")
def delete_agent(agents: Agents) -> None:
    agent = agents.agent()

    agents.client.delete_agent(agent.id)

    refused(
        lambda: agents.client.get_agent(agent.id), ResourceNotFoundError, f"No assistant found with id '{agent.id}'."
    )
