"""So many rows that Postgres, which reads a small table as a whole, has a use for indexes."""

from typing import Any

from sqlalchemy import JSON, Boolean, Column, Text, text

from api.authentication import DEFAULT_PROJECT
from infra.database.engine import Database
from infra.database.tables import ALL_TABLES
from tests.database import writing

ROWS = 10_000
VALUES = {
    "id": "'x' || n",
    "project_id": f"CASE n % 200 WHEN 0 THEN '{DEFAULT_PROJECT}' ELSE 'project_' || n % 200 END",
    "web_collections.project_id": "'x' || n",
    "thread_id": "'thread_' || n / 20",
    # Assistants and threads are deleted as well, which are in no thread.
    "deleted_items.thread_id": "CASE n % 2 WHEN 0 THEN 'thread_' || n / 20 END",
    "sandbox_sessions.thread_id": "'thread_' || n",
    "run_id": "'run_' || n / 5",
    "step_id": "'step_' || n / 5",
    "turn": "n % 5",
    "retries": "0",
    "on_active_run": "'reject'",
    "position": "n % 5",
    "status": "CASE n % 20 WHEN 0 THEN 'requires_action' ELSE 'completed' END",
    "files.status": "'processed'",
    "uploads.status": "CASE n % 20 WHEN 0 THEN 'pending' ELSE 'completed' END",
    "vector_store_files.status": "CASE n % 20 WHEN 0 THEN 'in_progress' ELSE 'completed' END",
    "web_crawls.status": "CASE n % 20 WHEN 0 THEN 'in_progress' ELSE 'completed' END",
    "web_crawl_urls.status": "CASE n % 20 WHEN 0 THEN 'pending' ELSE 'read' END",
    "crawl_id": "'crawl_' || n / 20",
    "store_id": "'store_' || n / 20",
    "batch_id": "'batch_' || n / 10",
    "upload_id": "'upload_' || n / 20",
    "purpose": "CASE n % 2 WHEN 0 THEN 'assistants' ELSE 'vision' END",
    "thread_seq": "n / 2",
    "vector_store_file_attributes.key": "'year'",
    "vector_store_file_attributes.number_value": "n",
    "thread_metadata.key": "CASE n % 2 WHEN 0 THEN 'user' ELSE 'team' END",
    "value": "'value_' || n / 10",
    "waiting": "false",
    "tools": "'[]'",
    "response_format": "'\"auto\"'",
    "tool_choice": "'\"auto\"'",
    "truncation_strategy": """'{"type": "auto"}'""",
}
"""What rows are filled with, from their number `n`."""


def fill(database: Database) -> None:
    with writing(database) as connection:
        for table in ALL_TABLES.tables.values():
            values = {
                column.name: filling(column) for column in table.columns if column is not table.autoincrement_column
            }
            rows = f"SELECT {', '.join(values.values())} FROM generate_series(1, {ROWS}) AS n"
            connection.execute(text(f"INSERT INTO {table.name} ({', '.join(values)}) {rows}"))
        connection.execute(text("ANALYZE"))


def filling(column: Column[Any]) -> str:
    known = VALUES.get(str(column), VALUES.get(column.name))
    if known or column.nullable:
        return known or "NULL"
    return {JSON: "'{}'", Boolean: "true", Text: "'x' || n"}.get(type(column.type), "n")
