"""A pytest session that collects the tests once and runs them in forks, each of which is a process of pytest-xdist.

The module is also what pytest-xdist has such a process execute.
"""

import json
import os
import signal
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NoReturn, cast

import pytest
from _pytest.capture import CaptureManager, FDCapture
from _pytest.config import _prepareconfig
from _pytest.tmpdir import TempPathFactory
from execnet.gateway_base import IO, Channel, Popen2IO, get_execmodel, serve

from cli.tied_to_parent import die_with_parent

if TYPE_CHECKING:
    from xdist.remote import WorkerInteractor


def main() -> None:
    asked = json.loads(sys.argv[1])
    sys.path = asked["path"]
    config = _prepareconfig(asked["arguments"])
    # Not before: pytest rewrites the assertions of its plugins.
    from xdist import remote

    remote.setup_config(config, None)
    # Its forks put theirs there.
    config.workerinput = {"workerid": "collecting"}  # type: ignore[attr-defined]
    config.workeroutput = {}  # type: ignore[attr-defined]
    session = ForkedSession(config, socket.socket(fileno=asked["listener"]))
    config.pluginmanager.register(session)
    config.hook.pytest_cmdline_main(config=config)
    session.end()


class ForkedSession:
    """A plugin. Only forks return from its `pytest_runtestloop`."""

    def __init__(self, config: pytest.Config, listener: socket.socket) -> None:
        self._config = config
        self._listener = listener
        self._failed: BaseException | None = None
        self._reports: list[pytest.CollectReport] = []
        self._warnings: list[dict[str, Any]] = []
        self._gateway: Gateway | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Generator[None, object, object]:
        try:
            return (yield)
        except BaseException as failed:  # noqa: BLE001
            # For the forks, which report it to the process that distributes the tests.
            self._failed = failed
            return True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._reports.append(report)

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        recorded = {"warning_message": warning_message, "when": when, "nodeid": nodeid, "location": location}
        self._warnings.append(recorded)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> object:
        self._gateway = self._next_fork()
        self._config.pluginmanager.unregister(self)
        interactor = self._interactor(self._gateway.channel())
        # As if it had been there from the start.
        interactor.pytest_sessionstart(session)
        interactor.pytest_collection()
        for report in self._reports:
            interactor.pytest_collectreport(report)
        for recorded in self._warnings:
            interactor.pytest_warning_recorded(**recorded)
        if self._failed:
            raise self._failed
        interactor.pytest_collection_modifyitems(self._config, session.items)
        interactor.pytest_collection_finish(session)
        return interactor.pytest_runtestloop(session)

    def end(self) -> None:
        if self._gateway:
            self._gateway.end()

    def _next_fork(self) -> "Gateway":
        """Fork for each request, until one has no pipes. Returns in the forks."""
        # A thread would be missing in them.
        assert [task.name for task in Path("/proc/self/task").iterdir()] == [str(os.getpid())]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            connection, _ = self._listener.accept()
            with connection:
                _, pipes, _, _ = socket.recv_fds(connection, 1, 2)
                if not pipes:
                    _exit_with_forks()
                if os.fork() == 0:
                    die_with_parent()
                    signal.signal(signal.SIGINT, signal.default_int_handler)
                    # The process that made the request ends when this one closes it.
                    connection.detach()
                    self._listener.close()
                    self._separate_captured_output()
                    return Gateway(*pipes)
                for pipe in pipes:
                    os.close(pipe)

    def _separate_captured_output(self) -> None:
        """Under the same descriptors: loggers may have kept the files."""
        capturing = cast(CaptureManager, self._config.pluginmanager.getplugin("capturemanager"))._global_capturing
        for capture in (capturing.out, capturing.err) if capturing else ():
            if isinstance(capture, FDCapture):
                with tempfile.TemporaryFile() as own:
                    os.dup2(own.fileno(), capture.tmpfile.fileno(), inheritable=False)

    def _interactor(self, channel: Channel) -> "WorkerInteractor":
        from xdist import remote

        workerinput, _, options, _ = channel.receive()
        os.environ["PYTEST_XDIST_TESTRUNUID"] = workerinput["testrunuid"]
        os.environ["PYTEST_XDIST_WORKER"] = workerinput["workerid"]
        os.environ["PYTEST_XDIST_WORKER_COUNT"] = str(workerinput["workercount"])
        self._config.workerinput |= workerinput  # type: ignore[attr-defined]
        self._config.option.basetemp = options.get("basetemp")
        temporary_folders = TempPathFactory.from_config(self._config, _ispytest=True)
        self._config._tmp_path_factory = temporary_folders  # type: ignore[attr-defined]
        # The name by which it reports its own errors.
        interactor = remote.WorkerInteractor(self._config, channel)
        remote.interactor = interactor
        return interactor


def _exit_with_forks() -> NoReturn:
    with suppress(ChildProcessError):
        # Those that have ended, for the times that a shell shows; the others are killed.
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    os._exit(0)


class Gateway:
    """execnet's end of the pipes, in a thread: the session has the main thread."""

    def __init__(self, stdin: int, stdout: int) -> None:
        self._channels = SimpleQueue[Channel]()
        self._ended = threading.Event()
        self._serving = threading.Thread(target=self._serve, args=(stdin, stdout))
        self._serving.start()
        global _gateway
        _gateway = self

    def channel(self) -> Channel:
        return self._channels.get()

    def run_session(self, channel: Channel) -> None:
        """Return when the session in the main thread has ended."""
        self._channels.put(channel)
        self._ended.wait()

    def end(self) -> None:
        self._ended.set()
        self._serving.join()

    def _serve(self, stdin: int, stdout: int) -> None:
        model = get_execmodel("main_thread_only")
        pipes = Popen2IO(os.fdopen(stdout, "wb"), os.fdopen(stdin, "rb"), model)
        # execnet's source, for interpreters that do not have it.
        pipes.infile.readline()
        pipes.write(b"1")
        serve(cast(IO, pipes), id="fork")


_gateway: Gateway


def run_session(channel: Channel) -> None:
    _gateway.run_session(channel)


if __name__ == "__channelexec__":
    from tests import forked_session

    forked_session.run_session(channel)  # type: ignore[name-defined] # noqa: F821
