"""Functions of `/chat/completions` in other forms than tools and their choice, as a `ModelRequest` says them.

Each is None where the body is not in OpenAI's form: that is for a provider to refuse.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from models.language_model import Function


@dataclass(frozen=True)
class ChatFunctions:
    functions: tuple[Function, ...]
    choice: Literal["none", "auto", "required"] | tuple[Literal["function"], str] = "auto"


def older_functions(given: Sequence[Mapping[str, Any]], call: str | Mapping[str, Any] | None) -> ChatFunctions | None:
    """`functions` and `function_call`, the form before tools."""
    functions = tuple(_functions(given))
    if len(functions) < len(given):
        return None
    names = {function.name for function in functions}
    match call:
        case None | "auto":
            return ChatFunctions(functions)
        case "none":
            return ChatFunctions(functions, "none")
        case {"name": str(name), **others} if name in names and not others:
            return ChatFunctions(functions, ("function", name))
    return None


def allowed_functions(functions: Sequence[Function], allowed: Mapping[str, Any]) -> ChatFunctions | None:
    """Those of `functions` that the choice `allowed_tools` allows: no others are offered."""
    match allowed:
        case {"mode": "auto" | "required" as mode, "tools": [_, *_] as tools, **others} if not others:
            names = list(_names(tools))
            found = tuple(function for function in functions if function.name in names)
            return ChatFunctions(found, mode) if len(names) == len(tools) and {*names} == _names_of(found) else None
    return None


def _functions(given: Sequence[Mapping[str, Any]]) -> Iterator[Function]:
    for each in given:
        named = {name: value for name, value in each.items() if value is not None}
        match {"description": None, "parameters": {"type": "object", "properties": {}}, **named}:
            case {"name": str(name), "description": str() | None as description, "parameters": dict(schema), **others}:
                if not others:
                    yield Function(name, description, schema)


def _names(tools: Sequence[Any]) -> Iterator[str]:
    for tool in tools:
        match tool:
            case {"type": "function", "function": {"name": str(name)}}:
                yield name


def _names_of(functions: Sequence[Function]) -> set[str]:
    return {function.name for function in functions}
