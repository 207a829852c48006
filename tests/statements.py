"""Counts the statements that this process sends to a database through any engine."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event

OF_WORKERS = re.compile(r"(FROM|INTO) workers\b")


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    """The statements that begin in the block, in order, without BEGIN and COMMIT, and those of workers' life signs."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not (statement.startswith("BEGIN") or OF_WORKERS.search(statement)):
            statements.append(statement)

    # On the class: this covers every engine, including those of asyncio.
    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)
