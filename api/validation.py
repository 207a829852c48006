"""Describes the error of an invalid request in OpenAI's words. The texts are from its recorded errors."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from api.limits import out_of_bounds
from api.problems import Problem, listed, shortened
from models.errors import InvalidRequest

_EXPECTED = {
    "string_type": "a string",
    "string_unicode": "a string",
    "string_type_at": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_from_float": "an integer",
    "float_type": "a decimal",
    "bool_type": "a boolean",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
}


def first_error(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """The first of pydantic's errors, because OpenAI reports one at a time."""
    problem = Problem.of(errors[0])
    match problem.kind:
        case "missing" | "missing_at":
            return problem.refused(f"Missing required parameter: '{problem.param}'.", "missing_required_parameter")
        case "extra_forbidden" | "unknown_at":
            return problem.refused(f"Unknown parameter: '{problem.param}'.", "unknown_parameter")
        case "literal_error" | "enum" | "unsupported_at":
            return _unsupported(problem)
        case "not_one_of":
            return _wrong_type(problem, f"one of {problem.context['expected']}")
        case "list_type":
            return _wrong_type(problem, f"an array of {'strings' if problem.path.endswith('_ids') else 'objects'}")
        case kind if kind in _EXPECTED:
            return _wrong_type(problem, _EXPECTED[kind])
        case "id_prefix":
            return _malformed_id(problem, f"begins with '{problem.context['prefix']}'.")
        case "id_characters":
            return _malformed_id(
                problem,
                "contains letters, numbers, underscores, or dashes, but this value contained additional characters.",
            )
        case "function_parameters":
            return problem.refused(
                f"Invalid schema for function '{problem.context['function']}': schema must be a JSON Schema of "
                f"'type: \"object\"', got 'type: \"{shortened(str(problem.context['type']))}\"'.",
                "invalid_function_parameters",
            )
        case _:
            return out_of_bounds(problem) or problem.refused(
                f"Invalid '{problem.param}': {problem.text}.", "invalid_value"
            )


def _wrong_type(problem: Problem, expected: str) -> InvalidRequest:
    subject = f"Invalid type for '{problem.param}'" if problem.path else "Invalid body"
    return problem.refused(
        f"{subject}: expected {expected}, but got {_described(problem.given)} instead.", "invalid_type"
    )


def _unsupported(problem: Problem) -> InvalidRequest:
    context = problem.context
    # Pydantic writes `'a', 'b' or 'c'`.
    supported = context.get("supported") or re.findall(r"'([^']*)'", context["expected"])
    if not isinstance(problem.given, str):
        return _wrong_type(problem, f"one of {listed(supported, 'or')}")
    return problem.refused(
        f"Invalid value: '{shortened(problem.given)}'. Supported values are: {listed(supported, 'and')}.",
        "invalid_value",
    )


def _malformed_id(problem: Problem, expected: str) -> InvalidRequest:
    return problem.refused(
        f"Invalid '{problem.param}': '{problem.given}'. Expected an ID that {expected}", "invalid_value"
    )


def _described(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
