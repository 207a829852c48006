import json
import time
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest

from infra.language_model.schema_samples import sample

TREE = {
    "$defs": {"node": {"type": "object", "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}}}},
    "$ref": "#/$defs/node",
}

SCHEMAS: list[tuple[dict[str, Any], Any]] = [
    ({"type": "object", "properties": {"city": {"type": "string"}}}, {"city": "city"}),
    ({"type": "object", "properties": {}}, {}),
    ({"type": "string", "examples": ["Rome", "Oslo"]}, "Rome"),
    ({"type": "string", "default": "Oslo"}, "Oslo"),
    ({"type": "string", "enum": ["celsius", "fahrenheit"]}, "celsius"),
    ({"const": 7}, 7),
    ({"type": "string", "format": "date"}, "2026-01-31"),
    ({"type": "string", "minLength": 9}, "texttextt"),
    ({"type": "string", "maxLength": 2}, "te"),
    ({"type": "integer"}, 0),
    ({"type": "integer", "minimum": 3}, 3),
    ({"type": "integer", "exclusiveMinimum": 3}, 4),
    ({"type": "number", "maximum": -2}, -2),
    ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["null", "string"]}, "text"),
    ({"type": "array", "items": {"type": "integer"}}, [0]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [0, 0]),
    ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, []),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [0, "text"]),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 0),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, "text"),
    (
        {"allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {"type": "string"}}}]},
        {"a": 0, "b": "b"},
    ),
    ({"$defs": {"city": {"type": "string"}}, "properties": {"to": {"$ref": "#/$defs/city"}}}, {"to": "to"}),
    ({}, "text"),
]


@pytest.mark.parametrize(("schema", "value"), SCHEMAS)
def test_sample_uses_hints_of_schema(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema) == value


@pytest.mark.parametrize("schema", [*(schema for schema, _ in SCHEMAS), TREE])
def test_sample_satisfies_schema(schema: dict[str, Any]) -> None:
    jsonschema_rs.validate(schema, sample(schema))


def test_recursive_schema_has_finite_sample() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}

    assert isinstance(sample(endless), dict)


def test_invalid_schema_has_no_sample() -> None:
    assert sample({"$ref": "#/$defs/missing"}) is None


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": "x"}, "text"),
        ({"type": "string", "maxLength": [2]}, "text"),
        ({"type": "string", "minLength": -3}, "text"),
        ({"type": "string", "maxLength": True}, "text"),
        ({"type": "string", "minLength": 9.0}, "texttextt"),
        ({"type": "string", "format": ["date"]}, "text"),
        ({"type": "array", "minItems": "9", "prefixItems": {}, "items": 3}, [None]),
        ({"type": "array", "maxItems": "0"}, ["text"]),
        ({"type": "object", "properties": ["a"], "required": 5}, {}),
        ({"type": "object", "properties": {"a": {}}, "required": {"b": 1}}, {"a": "a"}),
        ({"type": {"a": 1}}, "text"),
        ({"type": "number", "minimum": "3", "maximum": [1]}, 0),
        ({"type": "number", "minimum": 10**400}, 0),
        ({"type": "number", "minimum": 2, "multipleOf": 5e-324}, 2),
        ({"type": "number", "minimum": float("inf")}, 0),
        ({"type": "number", "minimum": float("nan")}, 0),
        ({"enum": []}, "text"),
        ({"enum": "abc"}, "text"),
        ({"anyOf": [3], "type": "integer"}, 0),
        ({"allOf": [3, None], "type": "integer"}, 0),
        ({"$ref": 3}, "text"),
    ],
)
def test_keywords_of_wrong_type_are_ignored(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema) == value


# The largest are made in their test: each process of the suite would keep 170 MB.
BOMBS: dict[str, dict[str, Any] | Callable[[], dict[str, Any]]] = {
    "many items": {"type": "array", "minItems": 300_000},
    "no end of items": {"type": "array", "minItems": 10**400},
    "long text": {"type": "string", "minLength": 10**12},
    "long texts": {"type": "array", "minItems": 1000, "items": {"type": "string", "minLength": 10**6}},
    "items of items": {
        "$defs": {"a": {"type": "array", "minItems": 1000, "items": {"$ref": "#/$defs/a"}}},
        "$ref": "#/$defs/a",
    },
    "doubling": {
        "$defs": {
            f"d{level}": {
                "type": "object",
                "properties": {side: {"$ref": f"#/$defs/d{level + 1}"} for side in ("a", "b")},
                "required": ["a", "b"],
            }
            for level in range(30)
        },
        "$ref": "#/$defs/d0",
    },
    "many properties": lambda: {"type": "object", "properties": {f"p{number}": {} for number in range(100_000)}},
    "long defaults": lambda: {"properties": {f"p{number}": {"default": "x" * 100_000} for number in range(1000)}},
    "one large default": {
        "$defs": {"a": {"default": [[0] * 100] * 100}},
        "properties": {f"p{number}": {"$ref": "#/$defs/a"} for number in range(1000)},
    },
    "deep default": {"default": json.loads("[" * 900 + "]" * 900)},
    "many parts": lambda: {"allOf": [{"properties": {f"p{number}": {}}} for number in range(100_000)]},
    "many types": {"type": "array", "minItems": 10_000, "items": {"type": ["null"] * 100_000}},
    "long reference": {"type": "array", "minItems": 10_000, "items": {"$ref": "#" + "/a" * 100_000}},
}


@pytest.mark.parametrize("schema", BOMBS.values(), ids=BOMBS)
def test_cost_of_sample_is_bounded(schema: dict[str, Any] | Callable[[], dict[str, Any]]) -> None:
    schema = schema() if callable(schema) else schema
    began = time.process_time()

    text = json.dumps(sample(schema))

    assert len(text) < 40_000
    assert time.process_time() - began < 0.5
