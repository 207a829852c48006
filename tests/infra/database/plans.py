"""The plan of a query, on both kinds of database."""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from infra.database.connections import POSTGRES
from infra.database.engine import Database
from infra.database.tables import ALL_TABLES
from models.errors import NotFound, WrongStatus
from tests.database import writing
from tests.infra.database.conftest import recorded

BY_ID = "sqlite_autoindex_{}_1"
BY_SEQ = ""
"""In SQLite that is the table itself."""


@dataclass
class Plan:
    """What a database does for a query: the indexes that it finds rows by, and what it should not do."""

    indexes: set[str] = field(default_factory=set)
    scans_and_sorts: list[str] = field(default_factory=list)


def plan_of(database: Database, query: Callable[[Connection], object]) -> Plan:
    """The plans of all statements of `query`, which is rolled back."""
    explain = explain_postgres if database.engine.dialect.name == POSTGRES else explain_sqlite
    plan = Plan()
    with writing(database) as connection:
        with recorded(database) as statements, suppress(NotFound, WrongStatus):
            query(connection)
        for statement, parameters in statements:
            # Of many rows at once, the first one's.
            explain(connection, statement, parameters[0] if isinstance(parameters, list) else parameters, plan)
        connection.rollback()
    return plan


def explain_sqlite(connection: Connection, statement: str, parameters: Any, plan: Plan) -> None:
    for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters):
        plan.indexes |= set(re.findall(r"INDEX (\w+)", step.detail))
        if step.detail.startswith("SCAN") or "TEMP B-TREE" in step.detail:
            plan.scans_and_sorts.append(step.detail)


def explain_postgres(connection: Connection, statement: str, parameters: Any, plan: Plan) -> None:
    # Postgres prefers to collect and sort a few rows; the plan is to show that it need not.
    for way in ("seqscan", "bitmapscan", "sort"):
        connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    explained = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    for node in nodes_of(explained.scalar_one()[0]["Plan"]):
        plan.indexes |= {sqlite_name(index) for index in [node.get("Index Name")] if index} - {BY_SEQ}
        if "Seq Scan" in node["Node Type"] or "Sort" in node["Node Type"]:
            plan.scans_and_sorts.append(node["Node Type"])


def sqlite_name(index: str) -> str:
    """SQLite's name of an index whose name the schema does not say."""
    if not (unnamed := re.fullmatch(r"(\w+?)_((?:store_id_)?id_key|pkey)", index)):
        return index
    table, kind = unnamed.groups()
    return BY_SEQ if kind == "pkey" and "seq" in ALL_TABLES.tables[table].primary_key.columns else BY_ID.format(table)


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from nodes_of(child)
