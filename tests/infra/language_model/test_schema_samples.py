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
def test_a_sample_is_what_the_schema_suggests(schema: dict[str, Any], value: Any) -> None:
    assert sample(schema) == value


@pytest.mark.parametrize("schema", [*(schema for schema, _ in SCHEMAS), TREE])
def test_a_sample_satisfies_its_schema(schema: dict[str, Any]) -> None:
    jsonschema_rs.validate(schema, sample(schema))


def test_a_schema_that_needs_itself_has_an_end() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}

    assert isinstance(sample(endless), dict)


def test_a_schema_that_is_none_has_no_sample() -> None:
    assert sample({"$ref": "#/$defs/missing"}) is None
