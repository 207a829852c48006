"""Compiles filters over attributes to SQL that means the same on SQLite and Postgres."""

from sqlalchemy import ColumnElement, and_, bindparam, not_, or_, select

from infra.database.columns import AnyRow
from infra.database.vector_store_tables import VECTOR_STORE_FILE_ATTRIBUTES, VECTOR_STORE_FILES
from models.vector_store_search import Comparison, Compound, Filter
from models.vector_stores import Attribute

_ATTRIBUTES = VECTOR_STORE_FILE_ATTRIBUTES


def condition(given: Filter, of_few: bool = False) -> ColumnElement[bool]:
    """Which rows of `VECTOR_STORE_FILES` match, in the store of the parameter `store`; of all its rows, or `of_few`."""
    match given:
        case Compound("and", filters):
            return and_(*(condition(each, of_few) for each in filters))
        case Compound(_, filters):
            return or_(*(condition(each, of_few) for each in filters))
        case Comparison("ne" | "nin", key, values):
            return not_(_has(key, _any_of(values), of_few))
        case Comparison("eq" | "in", key, values):
            return _has(key, _any_of(values), of_few)
        case Comparison(operator, key, (value, *_)):
            return _has(key, _ordered(operator, value), of_few)
    raise ValueError(f"A filter of an unknown kind: {given!r}")


def attribute_row(file: AnyRow, key: str, value: Attribute) -> dict[str, object]:
    """How an attribute of a row of `VECTOR_STORE_FILES` is kept."""
    row: dict[str, object] = {
        "file_seq": file.seq,
        "project_id": file.project_id,
        "store_id": file.store_id,
        "key": key,
    }
    return row | {"text_value": None, "number_value": None, "boolean_value": None} | {_column(value): value}


def _has(key: str, matches: ColumnElement[bool], of_few: bool) -> ColumnElement[bool]:
    is_of_store = _ATTRIBUTES.c.store_id == bindparam("store")
    matching = select(_ATTRIBUTES.c.file_seq).where(is_of_store, _ATTRIBUTES.c.key == key, matches)
    # Not by each file, unless they are few: an index finds those that match among the thousands of a store.
    if of_few:
        is_of_file = _ATTRIBUTES.c.file_seq == VECTOR_STORE_FILES.c.seq
        matching = matching.where(is_of_file).correlate(VECTOR_STORE_FILES)
    return VECTOR_STORE_FILES.c.seq.in_(matching)


def _any_of(values: tuple[Attribute, ...]) -> ColumnElement[bool]:
    by_column: dict[str, list[Attribute]] = {}
    for value in values:
        by_column.setdefault(_column(value), []).append(value)
    return or_(False, *(_ATTRIBUTES.c[column].in_(same_type) for column, same_type in by_column.items()))


def _ordered(operator: str, value: Attribute) -> ColumnElement[bool]:
    column = _ATTRIBUTES.c[_column(value)]
    match operator:
        case "gt":
            return column > value
        case "gte":
            return column >= value
        case "lt":
            return column < value
        case _:
            return column <= value


def _column(value: Attribute) -> str:
    # A boolean is an integer to Python.
    if isinstance(value, bool):
        return "boolean_value"
    return "text_value" if isinstance(value, str) else "number_value"
