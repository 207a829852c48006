"""Fills a database, so that what was measured empty can be measured full: cost must not grow with use."""

import sqlite3
from pathlib import Path

LONG_THREAD_MESSAGES = 100_000
OTHER_MESSAGES = 900_000
OTHER_THREADS = 100_000
OTHER_RUNS = 100_000

_COUNT = "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {0})"


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
