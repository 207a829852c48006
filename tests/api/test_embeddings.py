"""`/embeddings` with the local model and the official SDK."""

import math
from dataclasses import replace
from typing import Any

import httpx
import pytest
import tiktoken

from api.app import create_app
from infra.embeddings.embedders import Embedders
from infra.embeddings.minilm import DIMENSIONS, MODEL
from infra.embeddings.openai_compatible import EmbeddingEndpoint, open_openai_embedder
from infra.resources import open_embedders
from infra.tokenizers import encoding
from tests.holdfast import RunningHoldfast
from tests.infra.embeddings.scripted_endpoint import Answer, running_endpoint
from tests.infra.embeddings.scripted_provider import running_provider

pytestmark = pytest.mark.any_database

LEAVE = "Employees get twenty-five days of paid vacation each year."
QUESTION = "How much holiday do I have?"
PARKING = "Parking spaces are behind the main building."


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def vectors(holdfast: RunningHoldfast, given: Any, **options: Any) -> list[list[float]]:
    answer = await holdfast.client.embeddings.create(model=MODEL, input=given, **options)
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    return [item.embedding for item in answer.data]


async def test_vectors_of_like_texts_are_alike(holdfast: RunningHoldfast) -> None:
    leave, question, parking = await vectors(holdfast, [LEAVE, QUESTION, PARKING])

    assert [len(each) for each in (leave, question, parking)] == [DIMENSIONS] * 3
    assert math.isclose(math.hypot(*leave), 1, abs_tol=1e-3)
    assert likeness(question, leave) > likeness(question, parking) + 0.2


async def test_both_encodings_are_the_same_vector(holdfast: RunningHoldfast) -> None:
    # The SDK asks for base64 unless it is told otherwise.
    (packed,), (floats,) = await vectors(holdfast, LEAVE), await vectors(holdfast, LEAVE, encoding_format="float")

    assert packed == pytest.approx(floats, abs=1e-6)


async def test_tokens_are_read_as_their_text(holdfast: RunningHoldfast) -> None:
    vocabulary: tiktoken.Encoding = encoding()
    leave, parking = vocabulary.encode(LEAVE), vocabulary.encode(PARKING)

    (of_text,), (of_tokens,) = await vectors(holdfast, LEAVE), await vectors(holdfast, leave)

    assert of_tokens == of_text
    assert await vectors(holdfast, [leave, parking]) == await vectors(holdfast, [LEAVE, PARKING])


async def test_usage_counts_tokens(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/embeddings", json={"model": MODEL, "input": [PARKING, PARKING]})

    tokens = 2 * len(encoding().encode(PARKING))
    assert answer.json()["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


async def test_all_of_a_long_text_counts(holdfast: RunningHoldfast) -> None:
    filler = "The committee met and talked about the minutes of its last meeting. " * 60

    without, with_end = await vectors(holdfast, [filler, filler + PARKING * 20])

    (parking,) = await vectors(holdfast, PARKING)
    assert math.isclose(math.hypot(*with_end), 1, abs_tol=1e-3)
    assert likeness(with_end, parking) > likeness(without, parking) + 0.1


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "text-embedding-3-small", "input": "a"}, 404, "model", "model_not_found"),
        ({"model": MODEL, "input": ""}, 400, "input", "invalid_value"),
        ({"model": MODEL, "input": ["a", ""]}, 400, "input", "invalid_value"),
        ({"model": MODEL, "input": []}, 400, "input", "empty_array"),
        ({"model": MODEL, "input": [200_000]}, 400, "input", "invalid_value"),
        ({"model": MODEL, "input": ["a"] * 2049}, 400, "input", "array_above_max_length"),
        ({"model": MODEL, "input": ["many words " * 5000] * 40}, 400, "input", "max_tokens_per_request"),
        ({"model": MODEL, "input": "many words " * 500_000}, 400, "input", "max_tokens_per_request"),
        ({"model": MODEL, "input": [[100] * 300_000, [100]]}, 400, "input", "max_tokens_per_request"),
        ({"model": MODEL, "input": [[100] * 60_000] * 6}, 400, None, "body_too_complex"),
        ({"model": MODEL, "input": "a", "dimensions": 256}, 400, "dimensions", "invalid_value"),
        ({"model": MODEL, "input": "a", "encoding_format": "hex"}, 400, "encoding_format", "invalid_value"),
        ({"model": MODEL, "input": "a", "user": "ada"}, 400, "user", "unknown_parameter"),
    ],
)
async def test_unusable_request_is_rejected(
    http: httpx.AsyncClient, body: dict[str, Any], status: int, param: str | None, code: str
) -> None:
    answer = await http.post("/v1/embeddings", json=body)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)


@pytest.mark.xdist_group("litellm")
async def test_model_of_another_wire_is_asked_by_litellm(
    holdfast: RunningHoldfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "gemini/gemini-embedding-001"
    settings = holdfast.resources.settings.model_copy(update={"embedding_model": name, "embedding_dimensions": 8})
    with running_provider() as provider:
        monkeypatch.setenv("GEMINI_API_BASE", provider.url)
        monkeypatch.setenv("GEMINI_API_KEY", "any")
        async with open_embedders(settings) as embedders:
            resources = replace(holdfast.resources, settings=settings, embedders=embedders)
            transport = httpx.ASGITransport(create_app(resources))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                succeeded = await client.post("/v1/embeddings", json={"model": name, "input": ["a", "b"]})
                provider.script.append(Answer(429, {"error": {"message": "Not now."}}))
                failed = await client.post("/v1/embeddings", json={"model": name, "input": "a"})

    assert [len(item["embedding"]) for item in succeeded.json()["data"]] == [8, 8]
    assert [asked.texts for asked in provider.asked] == [["a", "b"], ["a"]]
    assert (failed.status_code, failed.json()["error"]["code"]) == (503, "embedding_failed")


@pytest.mark.parametrize(("status", "answered"), [(503, 503), (401, 502)])
async def test_failure_of_the_model_is_said(holdfast: RunningHoldfast, status: int, answered: int) -> None:
    async def open_another(*_: object) -> Any:
        raise AssertionError

    with running_endpoint() as script:
        script.script.append(Answer(status, {"error": {"message": "Not now."}}))
        endpoint = EmbeddingEndpoint(script.url, "sk-x", "openai/x", 8, None, 256)
        async with open_openai_embedder("some-model", endpoint) as embedder:
            settings = holdfast.resources.settings.model_copy(update={"embedding_model": "openai/some-model"})
            resources = replace(holdfast.resources, settings=settings, embedders=Embedders(embedder, open_another))
            transport = httpx.ASGITransport(create_app(resources))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                failed = await client.post("/v1/embeddings", json={"model": "some-model", "input": "a"})
                succeeded = await client.post("/v1/embeddings", json={"model": "openai/some-model", "input": "a"})

    assert (failed.status_code, failed.json()["error"]["code"]) == (answered, "embedding_failed")
    assert len(succeeded.json()["data"][0]["embedding"]) == 8
