"""The child process that reads one document: limits itself, reads, and writes what it found to its standard output.

Its parent is `parsing.py`. The answer is one JSON object: `{"pages": [[number, text], …]}` or `{"error": […]}`.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infra.documents.confinement import confine, only_answers
from infra.documents.errors import DocumentTooLarge, DocumentUnreadable, InvalidFile
from infra.documents.limits import MIB, Limits
from infra.documents.readers import read
from models.documents import Page


def main(arguments: list[str]) -> None:
    path, filename, limits = arguments[0], arguments[1], Limits(**json.loads(arguments[2]))
    answers = only_answers()
    confine(limits)
    answer = json.dumps(_answer(Path(path), filename, limits), ensure_ascii=False)
    with os.fdopen(answers, "wb") as output:
        output.write(answer.encode("utf-8", "replace"))


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
