"""The same operations on an empty database and on a full one: their cost must not grow with use."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI
from openai.types.beta.threads import Run

from infra.language_model.scripted import SCRIPTED_MODEL
from tests.bench.load import client_of, measure
from tests.cli.program import Place, Up

LONG_THREAD_MESSAGES = 100_000
OTHER_MESSAGES = 900_000
OTHER_THREADS = 100_000
OTHER_RUNS = 100_000
# As many messages as a page has, so that the empty case reads as many rows as the full one.
PAGE_FULL: Any = {"messages": [{"role": "user", "content": "Hello there"}] * 20}
REPEATED = 200

_COUNT = "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {0})"


def measure_growth() -> None:
    """Print the medians of both, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        up = Up(Place.new(Path(folder))).ready()
        try:
            asyncio.run(_measure(up))
        finally:
            up.interrupt()
            up.process.wait()


async def _measure(up: Up) -> None:
    print(f"{'':<44} {'empty ms':>8} {'full ms':>8} {'full/empty':>10}")
    async with client_of(up.place.url, 1) as client:
        assistant = await client.beta.assistants.create(model=SCRIPTED_MODEL)
        done = await client.beta.threads.create_and_run_poll(assistant_id=assistant.id, thread=PAGE_FULL)
        operations = _operations(client, done)
        empty = [await measure(operation, REPEATED, 1, {}) for operation in operations.values()]
        await asyncio.to_thread(fill, up.place.data_dir / "holdfast.db", done.thread_id)
        full = [await measure(operation, REPEATED, 1, {}) for operation in operations.values()]
    for name, before, after in zip(operations, empty, full, strict=True):
        ratio = after.percentile_ms(50) / before.percentile_ms(50)
        print(f"{name:<44} {before.percentile_ms(50):>8.1f} {after.percentile_ms(50):>8.1f} {ratio:>10.2f}")


def _operations(client: AsyncOpenAI, run: Run) -> dict[str, Callable[[], Awaitable[None]]]:
    """The measured operations: reads of a long thread in a large project, and a run on it."""
    messages, runs = client.beta.threads.messages, client.beta.threads.runs

    def repeated(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
        async def once() -> None:
            await call()

        return once

    return {
        "retrieve run": repeated(lambda: runs.retrieve(run.id, thread_id=run.thread_id)),
        "list messages": repeated(lambda: messages.list(run.thread_id)),
        "list messages, oldest first": repeated(lambda: messages.list(run.thread_id, order="asc")),
        "list messages of a run": repeated(lambda: messages.list(run.thread_id, run_id=run.id)),
        "list runs of a thread": repeated(lambda: runs.list(run.thread_id)),
        "list all threads": repeated(lambda: client.get("/threads", cast_to=object)),
        "list all runs by status": repeated(lambda: client.get("/runs?status=completed", cast_to=object)),
        "create message": repeated(lambda: messages.create(run.thread_id, role="user", content="More")),
    }


def fill(database: Path, long_thread_id: str) -> None:
    """Give one thread 100,000 messages, and its project 100,000 further threads and runs with 900,000 messages."""
    connection = sqlite3.connect(database, timeout=60)
    with connection:
        _multiply(connection, "threads", "'thread_bench' || n", {}, OTHER_THREADS)
        _multiply(connection, "runs", "'run_bench' || n", {"thread_id": "'thread_bench' || n"}, OTHER_RUNS)
        _multiply(connection, "messages", "'msg_long' || n", {"thread_id": f"'{long_thread_id}'"}, LONG_THREAD_MESSAGES)
        elsewhere = {"thread_id": f"'thread_bench' || (n % {OTHER_THREADS})"}
        _multiply(connection, "messages", "'msg_bench' || n", elsewhere, OTHER_MESSAGES)
        connection.execute("ANALYZE")
    connection.close()


def _multiply(connection: sqlite3.Connection, table: str, new_id: str, changed: dict[str, str], count: int) -> None:
    """Insert `count` copies of the table's first row, with new ids and the `changed` columns (SQL over `n`)."""
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})") if name != "seq"]
    values = [{"id": new_id, **changed}.get(name, f'"{name}"') for name in columns]
    named = ", ".join(f'"{name}"' for name in columns)
    connection.execute(
        f"{_COUNT.format(count)} INSERT INTO {table} ({named}) SELECT {', '.join(values)} "
        f"FROM counted, (SELECT * FROM {table} ORDER BY seq LIMIT 1)"
    )
