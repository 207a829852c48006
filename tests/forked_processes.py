"""A pytest plugin: the processes of pytest-xdist are forks of one that has imported and collected all tests.

Each by itself would take eight seconds of CPU for that. Not on systems without the death signal of `tied_to_parent`.
"""

import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import execnet
import pytest

from tests import fork_request, forked_session
from tests.cli.program import tied


def pytest_configure(config: pytest.Config) -> None:
    if sys.platform == "linux" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ForkedProcesses())


class ForkedProcesses:
    """The hooks of the process that distributes the tests."""

    def __init__(self) -> None:
        self._session: CollectingSession | None = None

    def pytest_xdist_setupnodes(self, config: pytest.Config, specs: Sequence[execnet.XSpec]) -> None:
        if all(spec.popen and not spec.python for spec in specs):
            self._session = CollectingSession([str(argument) for argument in config.invocation_params.args])
            for spec in specs:
                spec.python = self._session.fork_request

    def pytest_xdist_getremotemodule(self) -> ModuleType | None:
        return forked_session if self._session else None

    def pytest_unconfigure(self) -> None:
        if self._session:
            self._session.end()


class CollectingSession:
    """A running `forked_session`, which accepts requests when it has collected the tests."""

    def __init__(self, arguments: Sequence[str]) -> None:
        # Not in pytest's own folder: the name of a socket has at most 107 bytes.
        self._folder = TemporaryDirectory(prefix="holdfast-tests-")
        self._socket = Path(self._folder.name, "forks")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._socket))
            listener.listen()
            asked = json.dumps({"listener": listener.fileno(), "arguments": arguments, "path": sys.path})
            self._process = subprocess.Popen(
                tied([sys.executable, "-c", f"from {forked_session.__name__} import main; main()", asked]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
            )

    @property
    def fork_request(self) -> str:
        """A command whose stdin and stdout a fork takes over."""
        return shlex.join([sys.executable, "-I", "-S", fork_request.__file__, str(self._socket)])

    def end(self) -> None:
        with suppress(ConnectionError), socket.socket(socket.AF_UNIX) as asking:
            # Without pipes.
            asking.connect(str(self._socket))
        self._process.wait()
        self._folder.cleanup()
