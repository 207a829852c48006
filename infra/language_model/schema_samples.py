"""A value that satisfies a JSON Schema, always the same one: the scripted model's arguments and JSON answers.

Schemas come from clients: keywords of the wrong type count as absent, and the cost of a sample is bounded.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, takewhile
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
# Below this depth only required properties are filled in, and far below none: a schema may refer to itself.
OPTIONAL_DEPTH = 4
REQUIRED_DEPTH = 32

MAX_CHARACTERS = 10_000
"""The limit for all strings and names of a sample together. A schema that requires more is not satisfied."""

MAX_WORK = 2_000
"""Keywords, names and values that are read for one sample; later ones are null or left out."""

MAX_NUMBER = 2**53
LEAST_STEP = 1e-9
MAX_TYPES = 16


def sample(schema: Any, name: str = "text") -> Any:
    """The first example, default, constant or choice of `schema`, otherwise a plain value of its type.

    A string is `name`, or the name of its property; objects get their optional properties too. Patterns are ignored,
    and so are lengths beyond the limits above.
    """
    return _Sampler(schema).value(schema, name, depth=0)


class _Budget:
    def __init__(self) -> None:
        self._characters = MAX_CHARACTERS
        self._work = MAX_WORK

    def works(self, amount: int) -> bool:
        """Whether there is room for `amount` more; if so it is taken."""
        self._work -= amount
        return self._work >= 0

    def takes(self, value: Any, depth: int = 0) -> bool:
        """Whether there is room for a value of the schema, or for a name; if so it is taken."""
        if not self.works(1) or depth > REQUIRED_DEPTH:
            return False
        match value:
            case str() if len(value) > self._characters:
                return False
            case str():
                self._characters -= len(value)
            case Mapping():
                parts: Iterator[Any] = chain.from_iterable(value.items())
                return all(self.takes(part, depth + 1) for part in parts)
            case list():
                return all(self.takes(part, depth + 1) for part in value)
        return True

    def text(self, text: str, shortest: int) -> str:
        """`text`, repeated if it is shorter than `shortest`, as far as there is room."""
        length = min(max(len(text), shortest), max(self._characters, 0))
        self._characters -= length
        repeated = text * (length // len(text) + 1) if text else " " * length
        return repeated[:length]


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._budget = _Budget()

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > REQUIRED_DEPTH or not self._budget.works(1 + len(schema)):
            return None
        match schema:
            case {"examples": [first, *_]} if self._budget.takes(first):
                return first
            case {"const": first} | {"default": first} | {"enum": [first, *_]} if self._budget.takes(first):
                return first
            case {"$ref": str(reference)}:
                return self.value(self._resolve(reference), name, depth + 1)
            case {"anyOf": [first, *_]} | {"oneOf": [first, *_]}:
                return self.value({**_without_choices(schema), **_as_mapping(first)}, name, depth + 1)
            case {"allOf": [_, *_] as parts}:
                return self.value(self._merged(_without_choices(schema), parts), name, depth + 1)
        return self._plain(schema, name, depth)

    def _plain(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, name, depth)
            case "string":
                return self._string(schema, name)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties, required = _as_mapping(schema.get("properties")), _as_list(schema.get("required"))
        if depth >= OPTIONAL_DEPTH:
            names = [name for name in self._worth(required) if isinstance(name, str) and name in properties]
        else:
            names = list(self._worth(properties))
        return {name: self.value(properties[name], name, depth + 1) for name in names if self._budget.takes(name)}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        leading = _as_list(schema.get("prefixItems"))
        fewest = _size(schema, "minItems") or 0
        wanted = max(fewest, len(leading) or (1 if depth < OPTIONAL_DEPTH else 0))
        most = _size(schema, "maxItems")
        rest = schema.get("items", {"type": "string"})
        items = (leading[index] if index < len(leading) else rest for index in range(min(wanted, MAX_WORK)))
        return [self.value(item, name, depth + 1) for item in self._worth(islice(items, most))]

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        kind = schema.get("format")
        text = FORMATS.get(kind, name) if isinstance(kind, str) else name
        return self._budget.text(text[: _size(schema, "maxLength")], _size(schema, "minLength") or 0)

    def _resolve(self, reference: str) -> Any:
        found = self._root
        if not self._budget.works(len(reference)):
            return None
        for part in reference.removeprefix("#").split("/")[1:]:
            found = _as_mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
        return found

    def _merged(self, schema: dict[str, Any], parts: Sequence[Any]) -> dict[str, Any]:
        properties = dict(_as_mapping(schema.get("properties")))
        required = [*_as_list(schema.get("required"))]
        for part in self._worth(map(_as_mapping, parts)):
            of_part, needed = _as_mapping(part.get("properties")), _as_list(part.get("required"))
            if not self._budget.works(len(part) + len(of_part) + len(needed)):
                break
            schema.update(part)
            properties.update(of_part)
            required.extend(needed)
        return {**schema, "properties": properties, "required": required}

    def _worth(self, items: Iterable[Any]) -> Iterator[Any]:
        """`items`, as far as there is room for them."""
        return takewhile(lambda _: self._budget.works(1), items)


def _type_of(schema: Mapping[str, Any]) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((kind for kind in declared[:MAX_TYPES] if kind != "null"), "null")
    if not isinstance(declared, str):
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return declared


def _number(schema: Mapping[str, Any]) -> Number:
    step = _limit(schema, "multipleOf") or 1
    step = step if step >= LEAST_STEP else 1
    above = _limit(schema, "exclusiveMinimum")
    lowest = _limit(schema, "minimum") or above or 0
    number = -(-lowest // step) * step
    if number == above:
        number += step
    highest = _limit(schema, "maximum")
    return number if highest is None else min(number, highest)


def _limit(schema: Mapping[str, Any], keyword: str) -> Number | None:
    limit = schema.get(keyword)
    if not isinstance(limit, int | float) or isinstance(limit, bool):
        return None
    # NaN is not below any number, so it is no limit either.
    return limit if abs(limit) <= MAX_NUMBER else None


def _size(schema: Mapping[str, Any], keyword: str) -> int | None:
    size = schema.get(keyword)
    if isinstance(size, float) and size.is_integer():
        size = int(size)
    return min(size, MAX_NUMBER) if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None


def _without_choices(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf", "allOf"}}


def _as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
