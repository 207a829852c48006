from azure.ai.agents.models import AgentThreadCreationOptions, MessageInputTextBlock, ThreadMessageOptions
from azure.core.exceptions import ResourceNotFoundError

from tests.conformance.azure_agents_program.client import MODEL, POLL_SECONDS, Agents, operation, refused
from tests.conformance.scenario import equal


@operation("threads.create")
def create_thread(agents: Agents) -> None:
    thread = agents.threads.create(metadata={"a": "1"})

    equal((thread.object, dict(thread.metadata)), ("thread", {"a": "1"}))


@operation("threads.create_with_messages")
def create_thread_with_messages(agents: Agents) -> None:
    equal(agents.texts(agents.thread("Hello", "How are you?").id), ["Hello", "How are you?"])


@operation("threads.retrieve")
def get_thread(agents: Agents) -> None:
    thread = agents.thread()

    equal(agents.threads.get(thread.id), thread)


@operation("threads.update")
def update_thread(agents: Agents) -> None:
    thread = agents.threads.create(metadata={"a": "1"})

    equal(dict(agents.threads.update(thread.id, metadata={"b": "2"}).metadata), {"a": "1", "b": "2"})


@operation("threads.delete")
def delete_thread(agents: Agents) -> None:
    thread = agents.thread()

    agents.threads.delete(thread.id)

    refused(lambda: agents.threads.get(thread.id), ResourceNotFoundError, f"No thread found with id '{thread.id}'.")


@operation("threads.create_and_run")
def create_thread_and_run(agents: Agents) -> None:
    options = AgentThreadCreationOptions(messages=[ThreadMessageOptions(role="user", content="Hello")])

    run = agents.client.create_thread_and_run(agent_id=agents.agent().id, thread=options)

    equal((run.object, run.model), ("thread.run", MODEL))
    agents.until(run, "completed")


@operation("threads.create_and_run_poll")
def create_thread_and_process_run(agents: Agents) -> None:
    options = AgentThreadCreationOptions(messages=[ThreadMessageOptions(role="user", content="Hello")])

    run = agents.client.create_thread_and_process_run(
        agent_id=agents.agent().id, thread=options, polling_interval=POLL_SECONDS
    )

    equal((run.status, agents.texts(run.thread_id)), ("completed", ["Hello", "You said: Hello"]))


@operation("messages.create")
def create_message(agents: Agents) -> None:
    thread = agents.thread()

    message = agents.messages.create(thread_id=thread.id, role="user", content="Hello", metadata={"a": "1"})

    equal((message.object, message.role, message.thread_id), ("thread.message", "user", thread.id))
    equal((message.content[0].text.value, dict(message.metadata)), ("Hello", {"a": "1"}))


@operation("messages.create_from_parts")
def create_message_from_parts(agents: Agents) -> None:
    thread, parts = agents.thread(), [MessageInputTextBlock(text="Hello"), MessageInputTextBlock(text="you")]

    message = agents.messages.create(thread_id=thread.id, role="user", content=parts)

    equal([part.text.value for part in message.content], ["Hello", "you"])


@operation("messages.list")
def list_messages(agents: Agents) -> None:
    thread = agents.thread("1", "2", "3")

    equal([each.content[0].text.value for each in agents.messages.list(thread_id=thread.id, limit=2)], ["3", "2", "1"])
    newest = agents.messages.get_last_message_by_role(thread_id=thread.id, role="user")
    equal(newest.content[0].text.value, "3")


@operation("messages.list_of_run")
def list_messages_of_run(agents: Agents) -> None:
    run = agents.completed_run()

    [message] = agents.messages.list(thread_id=run.thread_id, run_id=run.id)

    equal((message.role, message.run_id, message.agent_id), ("assistant", run.id, run.agent_id))


@operation("messages.retrieve")
def get_message(agents: Agents) -> None:
    thread = agents.thread("Hello")
    [message] = agents.messages.list(thread_id=thread.id)

    equal(agents.messages.get(thread_id=thread.id, message_id=message.id), message)


@operation("messages.update")
def update_message(agents: Agents) -> None:
    thread = agents.thread()
    message = agents.messages.create(thread_id=thread.id, role="user", content="Hello", metadata={"a": "1"})

    updated = agents.messages.update(thread_id=thread.id, message_id=message.id, metadata={"b": "2"})

    equal(dict(updated.metadata), {"a": "1", "b": "2"})
