"""The clients, and how each one's program is started. They are whole SDK releases, installed as their users do."""

from dataclasses import dataclass
from pathlib import Path

from tests.conformance.environments import node_modules, node_program, python_environment

NODE_PROGRAM = Path(__file__).parent / "node_program" / "program.mjs"


@dataclass(frozen=True)
class PythonClient:
    """`too_old_for` names operations that came after this release: its types reject any server's answers to them."""

    version: str
    too_old_for: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"openai-python-{self.version}"

    def command(self) -> list[str]:
        """The program that tries every operation; its arguments are the server's URL and an API key.

        It writes JSON lines of `operation` and `problem`. Raises `InstallFailed`.
        """
        python = python_environment(self.name) / "python"
        return [str(python), "-W", "ignore::DeprecationWarning", "-m", "tests.conformance.python_program"]


@dataclass(frozen=True)
class NodeClient:
    version: str
    too_old_for: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"openai-node-{self.version}"

    def command(self) -> list[str]:
        """As above."""
        return [str(node_program("node")), str(NODE_PROGRAM), str(node_modules(self.name))]


Client = PythonClient | NodeClient

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
)
