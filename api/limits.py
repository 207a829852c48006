"""Names the limit that a value of the right type exceeds."""

from collections.abc import Mapping

from api.problems import Problem, shortened
from models.errors import InvalidRequest

# Pydantic's marker of an error about an object's key.
_KEY = ".[key]"


def out_of_bounds(problem: Problem) -> InvalidRequest | None:
    match problem.kind:
        case "greater_than_equal":
            return _number(problem, problem.context["ge"], "below minimum value", ">=", "below_min_value")
        case "less_than_equal":
            return _number(problem, problem.context["le"], "above maximum value", "<=", "above_max_value")
        case "string_too_long" if problem.path.endswith(_KEY):
            return _long_key(problem)
        case "string_too_long":
            return _too_long(problem, "string")
        case "string_too_short":
            return _empty(problem, "string")
        case "too_long" if isinstance(problem.given, Mapping):
            return _too_many_properties(problem)
        case "too_long":
            return _too_long(problem, "array")
        case "too_short":
            return _empty(problem, "array")
        case "string_pattern_mismatch":
            return problem.refused(
                f"Invalid '{problem.param}': string does not match pattern. Expected a string that matches the "
                f"pattern '{problem.context['pattern']}'.",
                "invalid_value",
            )
    return None


def _number(problem: Problem, bound: float, side: str, sign: str, code: str) -> InvalidRequest:
    noun = "integer" if isinstance(bound, int) else "decimal"
    bound = int(bound) if bound == int(bound) else bound
    return problem.refused(
        f"Invalid '{problem.param}': {noun} {side}. Expected a value {sign} {bound}, but got "
        f"{shortened(problem.given)} instead.",
        f"{noun}_{code}",
    )


def _long_key(problem: Problem) -> InvalidRequest:
    key = str(problem.given)
    name = problem.path.removesuffix(_KEY).removesuffix(f".{key}")
    message = (
        f"Invalid property name in '{name}': '{shortened(key)}' is too long. Expected a string with maximum length "
        f"{problem.context['max_length']}, but got a string with length {len(key)} instead."
    )
    return InvalidRequest(message, shortened(f"{name}.{key}"), "string_above_max_length")


def _too_long(problem: Problem, noun: str) -> InvalidRequest:
    kind = f"{'an' if noun == 'array' else 'a'} {noun}"
    return problem.refused(
        f"Invalid '{problem.param}': {noun} too long. Expected {kind} with maximum length "
        f"{problem.context['max_length']}, but got {kind} with length {len(problem.given)} instead.",
        f"{noun}_above_max_length",
    )


def _empty(problem: Problem, noun: str) -> InvalidRequest:
    kind = f"{'an' if noun == 'array' else 'a'} {noun}"
    return problem.refused(
        f"Invalid '{problem.param}': empty {noun}. Expected {kind} with minimum length "
        f"{problem.context['min_length']}, but got an empty {noun} instead.",
        f"empty_{noun}",
    )


def _too_many_properties(problem: Problem) -> InvalidRequest:
    return problem.refused(
        f"Invalid '{problem.param}': too many properties. Expected an object with at most "
        f"{problem.context['max_length']} properties, but got an object with {len(problem.given)} properties instead.",
        "object_above_max_properties",
    )
