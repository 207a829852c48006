"""A search in a vector store: its body, the filters over attributes, and its results."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from models.vector_stores import Attribute, TextContent
from models.wire import RequestBody, WireObject, one_of

MAX_DEPTH = 8
MAX_COMPARISONS = 200
MAX_QUERIES = 16
MAX_VALUES = 256
MAX_QUERY_LENGTH = 4096

COMPARISONS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin")
COMPOUNDS = ("and", "or")
ORDERED = frozenset({"gt", "gte", "lt", "lte"})
OF_LISTS = frozenset({"in", "nin"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """`values` has one value, or those of `in` and `nin`.

    A file without the attribute, or with one of another type, differs from every value: `ne` and `nin` match it.
    """

    operator: str
    key: str
    values: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Compound:
    operator: Literal["and", "or"]
    filters: "tuple[Filter, ...]"


Filter = Comparison | Compound


def parse_filter(value: object) -> "Filter | None":
    """The filter that a client sent. Raises `PydanticCustomError` that names the place in it."""
    if value is None or isinstance(value, Comparison | Compound):
        return value
    budget = [MAX_COMPARISONS]
    return _filter(value, "", 1, budget)


def _filter(value: object, path: str, depth: int, budget: list[int]) -> Filter:
    if not isinstance(value, Mapping):
        raise _wrong(path, value, "dict_type_at")
    if depth > MAX_DEPTH:
        raise _refused(path, f"filters nest more than {MAX_DEPTH} deep")
    kind = _required(value, path, "type")
    if kind in COMPOUNDS:
        return _compound(value, str(kind), path, depth, budget)
    if kind in COMPARISONS:
        budget[0] -= 1
        if budget[0] < 0:
            raise _refused(path, f"there are more than {MAX_COMPARISONS} comparisons")
        return _comparison(value, str(kind), path)
    supported = [*COMPARISONS, *COMPOUNDS]
    raise PydanticCustomError(
        "unsupported_at", "unsupported", {"at": _at(path, "type"), "input": kind, "supported": supported}
    )


def _compound(value: Mapping[str, Any], kind: str, path: str, depth: int, budget: list[int]) -> Compound:
    _only(value, path, {"type", "filters"})
    filters = _required(value, path, "filters")
    if not isinstance(filters, list) or not filters:
        raise _refused(_at(path, "filters"), "expected an array of at least one filter")
    parts = tuple(
        _filter(each, f"{_at(path, 'filters')}[{index}]", depth + 1, budget) for index, each in enumerate(filters)
    )
    return Compound("and" if kind == "and" else "or", parts)


def _comparison(value: Mapping[str, Any], kind: str, path: str) -> Comparison:
    _only(value, path, {"type", "key", "value"})
    key, compared = _required(value, path, "key"), _required(value, path, "value")
    if not isinstance(key, str):
        raise _wrong(_at(path, "key"), key, "string_type_at")
    if kind in OF_LISTS:
        if not isinstance(compared, list) or len(compared) > MAX_VALUES:
            raise _refused(_at(path, "value"), f"'{kind}' takes an array of at most {MAX_VALUES} values")
        values = tuple(compared)
    else:
        values = (compared,)
    for each in values:
        if not isinstance(each, str | bool | int | float):
            raise _refused(_at(path, "value"), f"'{kind}' compares with strings, numbers, and booleans")
        if kind in ORDERED and isinstance(each, bool):
            raise _refused(_at(path, "value"), f"'{kind}' compares with strings and numbers")
    return Comparison(kind, key, values)


def _required(value: Mapping[str, Any], path: str, name: str) -> Any:
    if name not in value:
        raise PydanticCustomError("missing_at", "missing", {"at": _at(path, name)})
    return value[name]


def _only(value: Mapping[str, Any], path: str, names: set[str]) -> None:
    for name in value:
        if name not in names:
            raise PydanticCustomError("extra_forbidden", "unknown", {"at": _at(path, name)})


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _wrong(path: str, value: object, kind: Literal["dict_type_at", "string_type_at"]) -> PydanticCustomError:
    if kind == "dict_type_at":
        return _refused(path, "expected a filter, which is an object")
    return PydanticCustomError("string_type_at", "wrong type", {"at": path, "input": value})


def _refused(path: str, reason: str) -> PydanticCustomError:
    context: dict[str, Any] = {"reason": reason}
    return PydanticCustomError("filter", "{reason}", context | ({"at": path} if path else {}))


class RankingOptions(RequestBody):
    """`none` ranks by vectors alone, where the store has them; all others by vectors and keywords."""

    ranker: Literal["none", "auto", "default-2024-11-15"] = "auto"
    score_threshold: float = Field(0, ge=0, le=1)


Query = Annotated[str, Field(min_length=1, max_length=MAX_QUERY_LENGTH)]


def _queries(value: object) -> object:
    return [value] if isinstance(value, str) else value


class SearchRequest(RequestBody):
    query: Annotated[
        list[Query],
        Field(min_length=1, max_length=MAX_QUERIES),
        BeforeValidator(_queries),
        one_of("a string or an array of strings", str, list),
    ]
    rewrite_query: bool | None = None
    max_num_results: int = Field(10, ge=1, le=50)
    filters: Annotated[Any, BeforeValidator(parse_filter), WithJsonSchema({"type": "object"})] = None
    ranking_options: RankingOptions | None = None


class SearchResult(WireObject):
    file_id: str
    filename: str
    score: float
    attributes: dict[str, Any]
    content: list[TextContent]


class SearchResultsPage(WireObject):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: list[str]
    data: list[SearchResult]
    has_more: bool = False
    next_page: str | None = None
