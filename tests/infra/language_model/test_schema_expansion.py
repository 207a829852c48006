"""What a client's schema costs is bounded, also where litellm expands its references for a provider."""

import asyncio
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import PromptRejected
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.schema_expansion import TOO_DEEP, TOO_LARGE, check_expansion
from models.language_model import Function, ModelRequest
from tests.infra.language_model.answers import ask, saying
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import GeminiSays

REFUSED_WITHIN_CPU_SECONDS = 1
GEMINI = "gemini/gemini-2.5-pro"
BEDROCK = "bedrock/anthropic.claude-3-haiku-20240307-v1:0"
NAMES = ("bombed", "large", "deep")


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def doubling(levels: int, keyword: str = "$defs") -> dict[str, Any]:
    """Definitions of which each names the next one twice."""
    names = [f"d{level}" for level in range(levels + 1)]
    twice = {
        name: {"type": "object", "properties": {"a": ref(following), "b": ref(following)}}
        for name, following in pairwise(names)
    }
    definitions = {**twice, names[-1]: {"type": "string"}}
    return {"type": "object", keyword: definitions, "properties": {"first": ref("d0")}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def chain(levels: int) -> dict[str, Any]:
    """Each definition is the next one."""
    definitions: dict[str, Any] = {f"d{level}": ref(f"d{level + 1}") for level in range(levels)}
    return {"type": "object", "$defs": definitions, "properties": {"first": ref("d0")}}


NODE = {"type": "object", "properties": {"name": {"type": "string"}, "next": ref("node")}}
EVERY_OTHER = {"type": "object", "properties": {f"p{n}": ref(f"d{n}") for n in range(12)}}
BOMBS: dict[str, dict[str, Any]] = {
    "two references, 18 deep": doubling(18),
    "older keyword": doubling(18, "definitions"),
    "definitions inside of a property": {"type": "object", "properties": {"inner": doubling(18)}},
    "all refer to all": {"type": "object", "$defs": {f"d{n}": EVERY_OTHER for n in range(12)}, "items": ref("d0")},
    "a long text again and again": {
        "type": "object",
        "$defs": {"long": {"const": "x" * 1_000_000}},
        "properties": {f"p{n}": ref("long") for n in range(1_000)},
    },
    "many definitions in a chain": chain(10_000),
    "many values": {"type": "object", "properties": {"a": {"enum": [*range(600_000)]}}},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "none": {"type": "object", "properties": {}},
    "refers to itself": {"type": "object", "$defs": {"node": NODE}, "properties": {"first": ref("node")}},
    "two references, 8 deep": doubling(8),
    "unknown reference": {"type": "object", "properties": {"a": ref("nothing")}},
    "reference to all of it": {"type": "object", "properties": {"a": {"$ref": "#"}}},
    "no text as a reference": {"type": "object", "properties": {"$ref": {"type": "string"}}},
    "thousand values": {"type": "object", "properties": {"a": {"enum": [str(n) for n in range(1_000)]}}},
    "wide": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(5_000)}},
}


def with_function(schema: dict[str, Any], model: str = GEMINI) -> ModelRequest:
    return replace(saying(model), functions=(Function("f", parameters=schema),))


def with_format(schema: dict[str, Any], model: str = GEMINI) -> ModelRequest:
    return replace(
        saying(model), response_format={"type": "json_schema", "json_schema": {"name": "f", "schema": schema}}
    )


@pytest.mark.parametrize("request_with", [with_function, with_format])
@pytest.mark.parametrize("schema", BOMBS.values(), ids=BOMBS.keys())
def test_bomb_is_refused_within_a_second(schema: dict[str, Any], request_with: Any) -> None:
    began = time.thread_time()

    with pytest.raises(PromptRejected, match=TOO_LARGE):
        check_expansion(request_with(schema))

    assert time.thread_time() - began < REFUSED_WITHIN_CPU_SECONDS


@pytest.mark.parametrize("request_with", [with_function, with_format])
@pytest.mark.parametrize("schema", HARMLESS.values(), ids=HARMLESS.keys())
def test_schema_of_a_person_is_not_refused(schema: dict[str, Any], request_with: Any) -> None:
    check_expansion(request_with(schema))


def test_functions_count_together() -> None:
    large = [Function(f"f{number}", parameters=doubling(10)) for number in range(3)]
    check_expansion(replace(saying(GEMINI), functions=(*large[:2],)))

    with pytest.raises(PromptRejected):
        check_expansion(replace(saying(GEMINI), functions=(*large,)))


@pytest.mark.parametrize("request_with", [with_function, with_format])
@pytest.mark.parametrize("name", [GEMINI, BEDROCK, "anthropic/claude-sonnet-4-5"])
async def test_bomb_ends_the_run_before_litellm_expands_it(
    provider: ScriptedProvider, tmp_path: Path, request_with: Any, name: str
) -> None:
    adapter = _adapter(provider, tmp_path, name)

    async with asyncio.timeout(30):
        with pytest.raises(PromptRejected, match=TOO_LARGE):
            await ask(adapter, request_with(doubling(18), "bombed"))


async def test_largest_schema_that_is_not_refused_costs_litellm_less_than_a_second(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    adapter = _adapter(provider, tmp_path, "gemini/some-gemini")
    await adapter.prepare()
    began = time.process_time()

    provider.script("some-gemini", GeminiSays(({"text": "Hi."},)))
    await ask(adapter, with_function(doubling(10), "large"))

    assert time.process_time() - began < 1


@pytest.mark.parametrize("levels", [10, 47])
async def test_deep_schema_that_is_not_refused_is_not_too_deep_for_litellm(
    provider: ScriptedProvider, tmp_path: Path, levels: int
) -> None:
    adapter = _adapter(provider, tmp_path, "gemini/gemini-deep")
    provider.script("gemini-deep", GeminiSays(({"text": "Hi."},)))

    assert (await ask(adapter, with_function(nested(levels), "deep"))).text == "Hi."


@pytest.mark.xdist_group("litellm")
async def test_deeper_schema_is_refused(provider: ScriptedProvider, tmp_path: Path) -> None:
    """litellm's own limit would be taken for a connection that failed, and tried again until the run's deadline."""
    adapter = _adapter(provider, tmp_path, GEMINI)

    with pytest.raises(PromptRejected, match=TOO_DEEP):
        await ask(adapter, with_function(nested(48), "deep"))


def _adapter(provider: ScriptedProvider, folder: Path, served: str) -> LitellmLanguageModel:
    parameters = {**provider.litellm_params(served), "api_base": provider.root}
    models = provider.models_file(folder, *({"model_name": name, "litellm_params": parameters} for name in NAMES))
    return LitellmLanguageModel(ModelCatalogue.load(models))
