"""Says what is wrong with a request in OpenAI's words. The texts are from its recorded errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import InvalidRequest
from models.wire import quoted_list

Location = Sequence[str | int]

_EXPECTED = {
    "string_type": "a string",
    "string_unicode": "a string",
    "string_type_at": "a string",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_type": "a boolean",
    "bool_parsing": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "none_required": "null",
    "string_or_list_type": "one of a string or array",
    "string_or_object_type": "one of a string or object",
}

_TOO_MANY = {"str": "string", "list": "array", "dict": "object"}


def first_error(errors: Sequence[Mapping[str, Any]]) -> InvalidRequest:
    """The first of pydantic's errors, as OpenAI reports one at a time."""
    error = errors[0]
    kind, given, context = error["type"], error.get("input"), error.get("ctx", {})
    path = param_of([*error["loc"], *([context["at"]] if "at" in context else [])])
    given = context.get("input", given)
    if kind in _EXPECTED:
        return InvalidRequest(
            f"Invalid type for '{path}': expected {_EXPECTED[kind]}, but got {_described(given)} instead.",
            path or None,
            "invalid_type",
        )
    match kind:
        case "json_invalid":
            return InvalidRequest("We could not parse the JSON body of your request.")
        case "missing" | "missing_at":
            return InvalidRequest(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")
        case "extra_forbidden":
            return InvalidRequest(f"Unknown parameter: '{path}'.", path, "unknown_parameter")
        case "literal_error" | "enum" | "unsupported_at":
            return _unsupported(path, given, context)
        case _:
            return _out_of_bounds(kind, path, given, context) or InvalidRequest(
                f"Invalid '{path}': {error['msg']}.", path, "invalid_value"
            )


def param_of(location: Location) -> str:
    """`tools[0].function.name`, without the request's part and the marks of unions."""
    path = ""
    for part in location[1:] if location and location[0] in ("body", "query", "path") else location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(("<", "[")):
            path += f".{part}" if path else part
    return path


def _unsupported(path: str, given: object, context: Mapping[str, Any]) -> InvalidRequest:
    if not isinstance(given, str):
        supported = f"one of {context.get('expected') or context.get('supported')}"
        return InvalidRequest(
            f"Invalid type for '{path}': expected {supported}, but got {_described(given)} instead.",
            path,
            "invalid_type",
        )
    supported = context.get("supported") or _literals(context.get("expected", ""))
    return InvalidRequest(f"Invalid value: '{given}'. Supported values are: {supported}.", path, "invalid_value")


def _literals(expected: str) -> str:
    """Pydantic writes `'a', 'b' or 'c'`."""
    return quoted_list([word.strip(" '") for word in expected.replace(" or ", ",").split(",")])


def _out_of_bounds(kind: str, path: str, given: Any, context: Mapping[str, Any]) -> InvalidRequest | None:
    match kind:
        case "greater_than_equal" | "less_than_equal":
            return _number_out_of_bounds(kind, path, given, context)
        case "string_too_long":
            return InvalidRequest(
                f"Invalid '{path}': string too long. Expected a string with maximum length {context['max_length']}, "
                f"but got a string with length {len(given)} instead.",
                path,
                "string_above_max_length",
            )
        case "string_too_short":
            return InvalidRequest(
                f"Invalid '{path}': empty string. Expected a string with minimum length {context['min_length']}, "
                f"but got an empty string instead.",
                path,
                "empty_string",
            )
        case "too_long" | "too_short":
            return _count_out_of_bounds(kind, path, given, context)
        case "string_pattern_mismatch":
            return InvalidRequest(
                f"Invalid '{path}': string does not match pattern. Expected a string that matches the pattern "
                f"'{context['pattern']}'.",
                path,
                "invalid_value",
            )
    return None


def _number_out_of_bounds(kind: str, path: str, given: Any, context: Mapping[str, Any]) -> InvalidRequest:
    below = kind == "greater_than_equal"
    bound = context["ge"] if below else context["le"]
    noun = "integer" if isinstance(bound, int) else "decimal"
    side, sign, code = ("below minimum", ">=", "below_min") if below else ("above maximum", "<=", "above_max")
    bound = int(bound) if float(bound).is_integer() else bound
    return InvalidRequest(
        f"Invalid '{path}': {noun} {side} value. Expected a value {sign} {bound}, but got {given} instead.",
        path,
        f"{noun}_{code}_value",
    )


def _count_out_of_bounds(kind: str, path: str, given: Any, context: Mapping[str, Any]) -> InvalidRequest:
    is_object = isinstance(given, Mapping)
    noun, items = ("object", "properties") if is_object else ("array", "elements")
    long = kind == "too_long"
    bound = context["max_length"] if long else context["min_length"]
    code = f"{noun}_{'above_max' if long else 'below_min'}_{'properties' if is_object else 'length'}"
    return InvalidRequest(
        f"Invalid '{path}': too {'many' if long else 'few'} {items}. Expected {'an' if noun else ''} {noun} with at "
        f"{'most' if long else 'least'} {bound} {items}, but got an {noun} with {len(given)} {items} instead.",
        path,
        code,
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
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
