"""A value that satisfies a JSON Schema, the same one every time: what the scripted model passes and answers."""

from collections.abc import Mapping
from typing import Any

Number = int | float

FORMATS: Mapping[str, str] = {
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Deeper than this only what is required is filled in, and much deeper nothing: a schema may refer to itself.
OPTIONAL_DEPTH = 4
REQUIRED_DEPTH = 32


def sample(schema: Any, name: str = "text") -> Any:
    """The first example, default, constant or choice that `schema` has, otherwise a plain value of its type.

    A string is `name`, or the name of the property it stands for; objects get their optional properties too.
    Patterns are not honoured.
    """
    return _Sampler(schema).value(schema, name, depth=0)


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > REQUIRED_DEPTH:
            return None
        match schema:
            case {"examples": [first, *_]} | {"const": first} | {"default": first} | {"enum": [first, *_]}:
                return first
            case {"$ref": str(reference)}:
                return self.value(self._resolve(reference), name, depth + 1)
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
                return self.value({**_without_choices(schema), **_as_mapping(first)}, name, depth + 1)
            case {"allOf": [*parts]}:
                return self.value(_merged(_without_choices(schema), parts), name, depth + 1)
        return self._plain(schema, name, depth)

    def _plain(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return _string(schema, name)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties") or {}
        required = schema.get("required") or ()
        names = [name for name in properties if depth < OPTIONAL_DEPTH or name in required]
        return {name: self.value(properties[name], name, depth + 1) for name in names}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        leading = schema.get("prefixItems") or []
        wanted = max(schema.get("minItems", 0), len(leading) or (1 if depth < OPTIONAL_DEPTH else 0))
        rest = [schema.get("items", {"type": "string"})] * (wanted - len(leading))
        items = [*leading, *rest][: schema.get("maxItems")]
        return [self.value(item, name, depth + 1) for item in items]

    def _resolve(self, reference: str) -> Any:
        found = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            found = _as_mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
        return found


def _type_of(schema: Mapping[str, Any]) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((kind for kind in declared if kind != "null"), "null")
    if declared is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(declared)


def _string(schema: Mapping[str, Any], name: str) -> str:
    text = FORMATS.get(str(schema.get("format")), name)
    shortest = int(schema.get("minLength", 0))
    if len(text) < shortest:
        text = (text * shortest)[:shortest]
    return text[: schema.get("maxLength")]


def _number(schema: Mapping[str, Any]) -> Number:
    step = _limit(schema, "multipleOf") or 1
    above = _limit(schema, "exclusiveMinimum")
    lowest = _limit(schema, "minimum") or above or 0
    number = -(-lowest // step) * step
    if number == above:
        number += step
    highest = _limit(schema, "maximum")
    return number if highest is None else min(number, highest)


def _limit(schema: Mapping[str, Any], keyword: str) -> Number | None:
    limit = schema.get(keyword)
    return limit if isinstance(limit, int | float) and not isinstance(limit, bool) else None


def _without_choices(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf", "allOf"}}


def _merged(schema: dict[str, Any], parts: list[Any]) -> dict[str, Any]:
    for part in map(_as_mapping, parts):
        properties = {**schema.get("properties", {}), **part.get("properties", {})}
        required = [*schema.get("required", ()), *part.get("required", ())]
        schema = {**schema, **part, "properties": properties, "required": required}
    return schema


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
