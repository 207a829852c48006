"""The common rules of all bodies on the wire: strictness, metadata, and unions whose errors list the known types."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

MAX_SAFE_INTEGER = 2**53 - 1
MAX_PAIRS = 16
MAX_UNKNOWN_FIELDS = 16
BRANCH = "\0"
"""The first character of union tags. No body that reaches a model has it in a field's name."""


class RequestBody(BaseModel):
    """A body or part of a body that a client sends: unknown fields and loosely typed values are refused.

    Its lists have a `max_length` and `fail_fast`: one error is reported, and a search for thousands is slow.
    """

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_many_others(cls, value: Any) -> Any:
        # Pydantic creates an error for each unknown field: a body can have thousands, and one is reported.
        if isinstance(value, dict) and len(value) > len(cls.model_fields) + MAX_UNKNOWN_FIELDS:
            known = {field.alias or name for name, field in cls.model_fields.items()}
            unknown = next(name for name in value if name not in known)
            raise PydanticCustomError("unknown_at", "unknown", {"at": unknown})
        return value


class WireObject(BaseModel):
    """An object that the server sends. Every key of the contract is present, null where it has no value."""

    # The input contains texts of messages, and the text of an error is logged.
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True, hide_input_in_errors=True)


class IdentifiedObject(WireObject):
    id: str


class Deleted(IdentifiedObject):
    object: str
    deleted: bool = True


def _few_pairs(value: object) -> object:
    # Checked before the pairs: each invalid pair creates an error.
    if isinstance(value, dict) and len(value) > MAX_PAIRS:
        context = {"field_type": "Dictionary", "max_length": MAX_PAIRS, "actual_length": len(value)}
        raise PydanticKnownError("too_long", context)
    return value


MetadataKey = Annotated[str, Field(max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Field(max_length=MAX_PAIRS),
    BeforeValidator(_few_pairs),
]
TokenLimit = Annotated[int, Field(ge=256, le=MAX_SAFE_INTEGER)]
Temperature = Annotated[float, Field(ge=0, le=2)]
# Unset is sent to clients as OpenAI's default but not to the model, which then uses its own default.
DefaultsToOne = Annotated[
    float | None, PlainSerializer(lambda value: 1.0 if value is None else value, return_type=float)
]
TopP = Annotated[float, Field(ge=0, le=1)]


def null_means(default: Callable[[], Any]) -> BeforeValidator:
    """For optional fields: null is the same as absent, because some clients send every field that they know."""
    return BeforeValidator(lambda value: default() if value is None else value)


def absent(value: object) -> bool:
    """For `Field(exclude_if=absent)`: an unset key is left out, not sent as null, where the contract requires that."""
    return value is None


def one_of(expected: str, *kinds: type) -> BeforeValidator:
    """For a union of several JSON types: the error for a value of any other type names the `expected` types."""

    def check(value: object) -> object:
        if not isinstance(value, kinds):
            raise PydanticCustomError("not_one_of", "expected one of {expected}", {"expected": expected})
        return value

    return BeforeValidator(check)


@dataclass(frozen=True)
class TaggedBy:
    """Marks a union of models that are distinguished by the literal value of `key`.

    Its errors name that key and its allowed values, as OpenAI's do, not pydantic's branches.
    """

    key: str

    def __get_pydantic_core_schema__(self, union: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        choices = {branch(self._value_of(member)): handler.generate_schema(member) for member in get_args(union)}
        supported = [self._value_of(member) for member in get_args(union)]
        return core_schema.no_info_before_validator_function(
            lambda value: self._check(value, supported),
            core_schema.tagged_union_schema(choices=choices, discriminator=self._tag),
        )

    def _value_of(self, member: type[BaseModel]) -> str:
        return str(get_args(member.model_fields[self.key].annotation)[0])

    def _tag(self, value: Any) -> str:
        return branch(value[self.key] if isinstance(value, Mapping) else getattr(value, self.key))

    def _check(self, value: object, supported: list[str]) -> object:
        if isinstance(value, BaseModel):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("dict_type", "expected an object")
        if self.key not in value:
            raise PydanticCustomError("missing_at", "missing", {"at": self.key})
        name = value[self.key]
        if not isinstance(name, str):
            raise PydanticCustomError("string_type_at", "expected a string", {"at": self.key, "input": name})
        if name not in supported:
            context = {"at": self.key, "input": name, "supported": supported}
            raise PydanticCustomError("unsupported_at", "unsupported", context)
        return value


def branch(name: str) -> str:
    """A union tag, marked to distinguish it from a field in an error's location."""
    return BRANCH + name
