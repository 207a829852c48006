"""The child process that reads one document: limits itself, reads, and writes what it found to its standard output.

Its parent is `parsing.py`. The answer is one JSON object: `{"pages": [[number, text], …]}` or `{"error": […]}`.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.documents.errors import DocumentTooLarge, DocumentUnreadable, InvalidFile
from infra.documents.limits import MIB, Limits
from infra.documents.readers import read
from models.documents import Page

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def main(arguments: list[str]) -> None:
    path, filename, limits = arguments[0], arguments[1], Limits(**json.loads(arguments[2]))
    answers = _only_answers()
    _confine(limits)
    answer = json.dumps(_answer(Path(path), filename, limits), ensure_ascii=False)
    with os.fdopen(answers, "wb") as output:
        output.write(answer.encode("utf-8", "replace"))


def _only_answers() -> int:
    """A descriptor for the answer. What libraries print goes nowhere."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers


def _confine(limits: Limits) -> None:
    _leave_the_network()
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.written_file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))
    # The soft limit sends a signal, by which the parent knows what happened; the hard one would only kill.
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))


def _leave_the_network() -> None:
    """Die with the parent, and have no network where the system allows a process to give it up."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if libc.unshare(CLONE_NEWNET) != 0:
            libc.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _answer(path: Path, filename: str, limits: Limits) -> dict[str, Any]:
    try:
        return {"pages": [[page.number, page.text] for page in _bounded(read(path, filename, limits), limits)]}
    except DocumentUnreadable as error:
        return _error(error)
    except MemoryError:
        return _error(DocumentTooLarge.because("it needs too much memory"))
    except RecursionError:
        return _error(InvalidFile.damaged())
    # Whatever a parser raises over a hostile file is about the file.
    except Exception:  # noqa: BLE001
        return _error(InvalidFile.damaged())


def _bounded(pages: Iterator[Page], limits: Limits) -> Iterator[Page]:
    size = 0
    for page in pages:
        size += len(page.text)
        if size > limits.output_bytes:
            raise DocumentTooLarge.because(f"it has more than {limits.output_bytes // MIB} MiB of text")
        yield page


def _error(error: DocumentUnreadable) -> dict[str, Any]:
    return {"error": [type(error).__name__, str(error)]}
