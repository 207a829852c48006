"""The clients, and how each one's program is started. They are whole SDK releases, installed as their users do."""

from dataclasses import dataclass
from pathlib import Path

from tests.conformance.environments import node_modules, node_program, python_environment
from tests.conformance.operations import AZURE_AGENTS, OPERATIONS

NODE_PROGRAM = Path(__file__).parent / "node_program" / "program.mjs"


@dataclass(frozen=True)
class _Release:
    """`too_old_for` names operations that came after this release: its types reject any server's answers to them.

    Its program has no scenario for those that are `not_tried`.
    """

    version: str
    too_old_for: frozenset[str] = frozenset()
    not_tried: frozenset[str] = frozenset()


class PythonClient(_Release):
    @property
    def name(self) -> str:
        return f"openai-python-{self.version}"

    def command(self) -> list[str]:
        """The program that tries every operation; its arguments are the server's URL and an API key.

        It writes JSON lines of `operation` and `problem`. Raises `InstallFailed`.
        """
        return _python_program(self.name, "python_program")


class AzureOpenAIClient(_Release):
    """`AzureOpenAI` of a release of OpenAI's SDK."""

    @property
    def name(self) -> str:
        return f"AzureOpenAI-{self.version}"

    def command(self) -> list[str]:
        """As above."""
        return _python_program(f"openai-python-{self.version}", "azure_openai_program")


@dataclass(frozen=True)
class AzureAgentsClient(_Release):
    not_tried: frozenset[str] = frozenset(OPERATIONS) - AZURE_AGENTS

    @property
    def name(self) -> str:
        return f"azure-ai-agents-{self.version}"

    def command(self) -> list[str]:
        """As above."""
        return _python_program(self.name, "azure_agents_program")


class NodeClient(_Release):
    @property
    def name(self) -> str:
        return f"openai-node-{self.version}"

    def command(self) -> list[str]:
        """As above."""
        return [str(node_program("node")), str(NODE_PROGRAM), str(node_modules(self.name))]


Client = PythonClient | NodeClient | AzureOpenAIClient | AzureAgentsClient


def _python_program(environment: str, program: str) -> list[str]:
    python = python_environment(environment) / "python"
    return [str(python), "-W", "ignore::DeprecationWarning", "-m", f"tests.conformance.{program}"]


SINCE_1_26_0 = frozenset(
    {
        "messages.create_with_image_url",
        "runs.create_with_json_schema",
        "streams.run_that_is_incomplete",
        "files.list_every_page",
        "uploads.create",
        "uploads.add_part",
        "uploads.complete",
        "uploads.cancel",
        "vector_stores.search",
        "vector_stores.search_with_filter",
        "vector_store_files.create_with_attributes",
        "vector_store_files.update",
        "vector_store_files.content",
    }
)

NEWEST_PYTHON = PythonClient("3.52.0")
"""The one that `make test` tries."""

CLIENTS: tuple[Client, ...] = (
    PythonClient("1.26.0", too_old_for=SINCE_1_26_0),
    PythonClient("1.109.1"),
    PythonClient("2.23.0"),
    PythonClient("2.54.0"),
    NEWEST_PYTHON,
    NodeClient("4.104.0"),
    NodeClient("7.55.0"),
    AzureOpenAIClient(NEWEST_PYTHON.version),
    # Without the resources of a run.
    AzureAgentsClient("1.0.0", too_old_for=frozenset({"runs.file_search"})),
    AzureAgentsClient("1.1.0"),
    AzureAgentsClient("1.2.0b6"),
)
