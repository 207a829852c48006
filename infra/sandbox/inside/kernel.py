"""The program in the box: keeps variables from cell to cell. Imports nothing of Holdfast, which is not in the box.

Frames in both directions are a byte for the kind, the length in four bytes, and the content. In come `C` (a cell: JSON
with `number`, `code` and `mark`) and `I` (interrupt: the number of a cell); out go `R` (ready), `P` (a PNG) and `D`
(the cell has ended: JSON with `raised` and `interrupted`). After a cell's last text, `mark` is written to its output.
"""

import _sitebuiltins
import ast
import builtins
import contextlib
import importlib
import io
import json
import linecache
import os
import queue
import re
import resource
import signal
import struct
import subprocess
import sys
import threading
import traceback
import types
from typing import Any, NoReturn

HEADER = struct.Struct(">cI")
COMMAND = re.compile(r"^(\s*)[!%](.*)$")


class Channel:
    """The two control pipes. Processes that the code starts do not inherit them."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        for descriptor in (incoming, outgoing):
            os.set_inheritable(descriptor, False)
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = os.fdopen(outgoing, "wb", 0)
        self._sending = threading.Lock()

    def receive(self) -> tuple[bytes, Any]:
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        return kind, json.loads(self._exactly(length))

    def send(self, kind: bytes, content: bytes = b"") -> None:
        frame = memoryview(HEADER.pack(kind, len(content)) + content)
        with self._sending:
            while frame:
                frame = frame[self._outgoing.write(frame) :]

    def _exactly(self, length: int) -> bytes:
        content = self._incoming.read(length)
        if len(content) < length:
            # The server is gone, or has closed the session.
            os._exit(0)
        return content


class Kernel:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._cells: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._running: int | None = None
        self._main = threading.get_ident()
        module = types.ModuleType("__main__")
        module.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = module
        self._variables = module.__dict__
        own = types.ModuleType("sandbox_kernel")
        own.__dict__["show_figures"] = self.show_figures
        sys.modules["sandbox_kernel"] = own

    def serve(self) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._receive, daemon=True).start()
        self._channel.send(b"R")
        while True:
            self._run(self._cells.get())

    def _receive(self) -> NoReturn:
        while True:
            kind, content = self._channel.receive()
            if kind == b"C":
                self._cells.put(content)
            elif content == self._running:
                # To the main thread: the signal ends a call of the system that it waits in.
                signal.pthread_kill(self._main, signal.SIGINT)

    def _run(self, cell: dict[str, Any]) -> None:
        ending = {"raised": False, "interrupted": False}
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._running = cell["number"]
            self._execute(cell["code"], f"<cell {cell['number']}>")
            self.show_figures()
        except KeyboardInterrupt:
            ending["interrupted"] = True
        except SystemExit:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever the code raises
            ending["raised"] = True
            _print_traceback(error, f"<cell {cell['number']}>")
        self._running = None
        with contextlib.suppress(BaseException):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        os.write(1, cell["mark"].encode())
        self._channel.send(b"D", json.dumps(ending).encode())

    def _execute(self, code: str, name: str) -> None:
        source = plain_python(code)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        self._variables["__shell__"] = shell
        exec(compile(tree, name, "exec"), self._variables)  # noqa: S102
        if isinstance(last, ast.Expr):
            self._show(eval(compile(ast.Expression(last.value), name, "eval"), self._variables))  # noqa: S307

    def _show(self, value: object) -> None:
        if value is None:
            return
        self._variables["_"] = value
        pillow, figures = sys.modules.get("PIL.Image"), sys.modules.get("matplotlib.figure")
        if pillow and isinstance(value, pillow.Image):
            content = io.BytesIO()
            value.save(content, "PNG")
            self._channel.send(b"P", content.getvalue())
        elif figures and isinstance(value, figures.Figure):
            self._show_figure(value)
            if pyplot := sys.modules.get("matplotlib.pyplot"):
                pyplot.close(value)
        else:
            print(repr(value))  # noqa: T201

    def show_figures(self) -> None:
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            for number in pyplot.get_fignums():
                self._show_figure(pyplot.figure(number))
            pyplot.close("all")

    def _show_figure(self, figure: Any) -> None:
        content = io.BytesIO()
        figure.savefig(content, format="png", bbox_inches="tight")
        self._channel.send(b"P", content.getvalue())


def plain_python(code: str) -> str:
    """`code` with `!command` as a call of `shell`, and without `%matplotlib` and its kind.

    Only where it is no Python as it is: a line that begins so may be within a string.
    """
    try:
        ast.parse(code)
    except SyntaxError:
        return "".join(map(_plain_line, code.splitlines(keepends=True)))
    return code


def _plain_line(line: str) -> str:
    if not (found := COMMAND.match(line)):
        return line
    indent, command = found.groups()
    call = f"__shell__({command.strip()!r})" if line.lstrip().startswith("!") else "pass"
    return f"{indent}{call}\n"


def shell(command: str) -> None:
    """Run `command`; its output becomes the cell's."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    subprocess.run(command, shell=True, check=False, stdin=subprocess.DEVNULL)  # noqa: S602


def _print_traceback(error: BaseException, name: str) -> None:
    place = error.__traceback__
    while place and place.tb_frame.f_code.co_filename != name:
        place = place.tb_next
    with contextlib.suppress(BaseException):
        sys.stderr.write("".join(traceback.format_exception(type(error), error, place)))


def _limit(limits: dict[str, int]) -> None:
    # The first to end where the machine runs out of memory; all that the code starts inherits it.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:  # noqa: PTH123
        score.write("1000")
    os.nice(5)
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))


def _add_names_of_site() -> None:
    # `site`, which is left out, would look for packages of the machine.
    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "the end of the file"))
    builtins.__dict__["help"] = _sitebuiltins._Helper()


def _copy_list_of_fonts(packages: str) -> None:
    # matplotlib uses it only in a folder that it may write to.
    folder = os.environ.get("MPLCONFIGDIR", "")
    with contextlib.suppress(OSError):
        os.mkdir(folder)  # noqa: PTH102
        for entry in os.scandir(f"{packages}/.matplotlib"):
            with open(entry.path, "rb") as source, open(f"{folder}/{entry.name}", "wb") as copy:  # noqa: PTH123
                copy.write(source.read())


def main() -> None:
    """Arguments: the control pipes, the limits, the folder of packages, and the modules to import in advance."""
    incoming, outgoing, limits, packages, modules = sys.argv[1:]
    _limit(json.loads(limits))
    sys.argv = [""]
    # The session's folder last: a file there must not take a library's place.
    sys.path += [*filter(None, [packages]), os.path.dirname(__file__), os.getcwd()]  # noqa: PTH109, PTH120
    _add_names_of_site()
    _copy_list_of_fonts(packages)
    channel = Channel(int(incoming), int(outgoing))
    for module in filter(None, modules.split(",")):
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    Kernel(channel).serve()


if __name__ == "__main__":
    main()
