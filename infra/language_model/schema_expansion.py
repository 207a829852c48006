"""A bound for schemas whose references are expanded: litellm does so for some providers, without one of its own.

Twenty definitions that each name the next one twice are 1.6 kB, and a million schemas.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.language_model.errors import PromptRejected
from models.language_model import ModelRequest

MAX_WORK = 500_000
"""litellm's expansion of this much takes some tenths of a second. Schemas that people write need a hundredth."""

MAX_DEPTH = 95
"""Below litellm's limit of 100, at which its error is one of a connection."""

CHARACTERS_A_UNIT = 100
DEFINITIONS = ("$defs", "definitions")
TOO_LARGE = "The schemas of the run's functions and response format are too large once their references are expanded."
TOO_DEEP = f"A schema of the run's functions or response format nests more than {MAX_DEPTH} deep for this model."


def check_expansion(request: ModelRequest) -> None:
    """Raise `PromptRejected` if the schemas of the request together cost too much. This check itself is bounded."""
    work = 0
    for schema in _schemas(request):
        for cost in _costs(schema):
            work += cost
            if work > MAX_WORK:
                raise PromptRejected(TOO_LARGE)


def _schemas(request: ModelRequest) -> Iterator[Any]:
    yield from (function.parameters for function in request.functions)
    match request.response_format:
        case {"json_schema": {"schema": schema}}:
            yield schema


def _costs(schema: Any) -> Iterator[int]:
    """The cost of each value of the expanded schema, in litellm's order of work.

    A reference means a definition by its last name, and is not followed inside of that definition. Each object costs
    as much as there are definitions: they are merged for it. Members are counted before any of them is looked at.
    """
    pending: list[tuple[Any, Mapping[str, Any], frozenset[str], int]] = [(schema, {}, frozenset(), 0)]
    while pending:
        value, definitions, within, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise PromptRejected(TOO_DEEP)
        match value:
            case dict():
                definitions = _with_those_of(value, definitions)
                yield 1 + len(definitions)
                name = str(value["$ref"]).rpartition("/")[2] if "$ref" in value else None
                if name is None:
                    yield len(value)
                    pending.extend((each, definitions, within, depth + 1) for each in value.values())
                elif name in definitions and name not in within:
                    yield len(within)
                    pending.append((definitions[name], definitions, within | {name}, depth))
            case list():
                yield len(value)
                pending.extend((each, definitions, within, depth + 1) for each in value)
            case str():
                yield len(value) // CHARACTERS_A_UNIT


def _with_those_of(schema: Mapping[str, Any], inherited: Mapping[str, Any]) -> Mapping[str, Any]:
    own = [found for name in DEFINITIONS if isinstance(found := schema.get(name), dict)]
    return {name: each for found in (inherited, *own) for name, each in found.items()} if own else inherited
