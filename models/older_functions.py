"""`functions` and `function_call`, the form of tools before there were tools, as a `ModelRequest` says them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.language_model import Function


@dataclass(frozen=True)
class OlderFunctions:
    functions: tuple[Function, ...] = ()
    choice: Literal["none", "auto"] | tuple[Literal["function"], str] = "auto"


def older_functions(given: Sequence[Mapping[str, Any]], call: str | Mapping[str, Any] | None) -> OlderFunctions | None:
    """None where a field is not in OpenAI's form: that is for a provider to refuse."""
    functions = tuple(_functions(given))
    if len(functions) < len(given):
        return None
    names = {function.name for function in functions}
    match call:
        case None | "auto":
            return OlderFunctions(functions)
        case "none":
            return OlderFunctions(functions, "none")
        case {"name": str(name), **others} if name in names and not others:
            return OlderFunctions(functions, ("function", name))
    return None


def _functions(given: Sequence[Mapping[str, Any]]) -> Iterator[Function]:
    for each in given:
        match {"description": None, "parameters": {"type": "object", "properties": {}}, **each}:
            case {"name": str(name), "description": str() | None as description, "parameters": dict(schema), **others}:
                if not others:
                    yield Function(name, description, schema)
