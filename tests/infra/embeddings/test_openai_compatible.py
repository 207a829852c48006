"""An endpoint of OpenAI's kind: what it is asked, and what its failures mean."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import pytest_asyncio

from infra.embeddings.errors import EmbeddingFailed, EmbeddingRefused, EmbeddingUnavailable
from infra.errors import StartFailed
from infra.ports import Embedder
from infra.resources import open_embedder
from infra.settings import Settings
from tests.infra.embeddings.scripted_endpoint import Answer, ScriptedEndpoint, running_endpoint

KEY = "sk-secret-of-the-test"


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedEndpoint]:
    with running_endpoint(dimensions=8) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.url + "/")
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        yield running


@pytest_asyncio.fixture
async def embedder(endpoint: ScriptedEndpoint) -> AsyncIterator[Embedder]:
    async with open_embedder(Settings(embedding_model="openai/bge-small", embedding_dimensions=8)) as opened:
        assert opened is not None
        yield opened


async def test_request_names_model_key_and_texts(embedder: Embedder, endpoint: ScriptedEndpoint) -> None:
    await embedder.embed(["one", "two"])

    assert endpoint.requests == [{"model": "bge-small", "input": ["one", "two"], "encoding_format": "float"}]
    assert endpoint.keys == [f"Bearer {KEY}"]
    assert embedder.model == "openai/bge-small"


async def test_request_names_the_organization_of_the_environment(
    endpoint: ScriptedEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORGANIZATION", "org-1")

    async with open_embedder(Settings(embedding_model="openai/bge-small", embedding_dimensions=8)) as embedder:
        assert embedder is not None
        await embedder.embed(["one"])

    assert endpoint.organizations == ["org-1"]


async def test_many_texts_are_several_requests(embedder: Embedder, endpoint: ScriptedEndpoint) -> None:
    await embedder.embed([str(number) for number in range(130)])

    assert [len(request["input"]) for request in endpoint.requests] == [64, 64, 2]


async def test_empty_text_is_sent_as_something(embedder: Embedder, endpoint: ScriptedEndpoint) -> None:
    await embedder.embed(["", " \n"])

    assert endpoint.requests[0]["input"] == ["-", "-"]


async def test_shortened_vectors_are_asked_for_and_named(endpoint: ScriptedEndpoint) -> None:
    async with open_embedder(
        Settings(embedding_model="openai/text-embedding-3-small", embedding_dimensions=256)
    ) as embedder:
        assert embedder is not None
        [vector] = await embedder.embed(["one"])

        assert (len(vector), endpoint.requests[0]["dimensions"]) == (256, 256)
        assert embedder.model == "openai/text-embedding-3-small@256"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_passing_failures_may_be_retried(status: int, embedder: Embedder, endpoint: ScriptedEndpoint) -> None:
    endpoint.script.append(Answer(status, {"error": {"message": "busy"}}, {"retry-after": "7"}))

    with pytest.raises(EmbeddingUnavailable, match=f"'openai/bge-small' answered {status}: busy") as raised:
        await embedder.embed(["one"])

    assert raised.value.retry_after == timedelta(seconds=7)
    assert len(endpoint.requests) == 1


async def test_retry_after_may_be_a_date(embedder: Embedder, endpoint: ScriptedEndpoint) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    endpoint.script.append(Answer(503, b"<html>", {"retry-after": date}))

    with pytest.raises(EmbeddingUnavailable) as raised:
        await embedder.embed(["one"])

    assert raised.value.retry_after is not None
    assert timedelta(seconds=30) < raised.value.retry_after <= timedelta(seconds=90)


@pytest.mark.parametrize("value", ["soon", "nan", "-5", "1e999"])
async def test_senseless_retry_after_is_no_long_wait(
    value: str, embedder: Embedder, endpoint: ScriptedEndpoint
) -> None:
    endpoint.script.append(Answer(429, {}, {"retry-after": value}))

    with pytest.raises(EmbeddingUnavailable) as raised:
        await embedder.embed(["one"])

    assert not raised.value.retry_after


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "too long"}),
        (401, {"message": "bad key"}),
        (404, {"message": "no model"}),
        (429, {"message": "pay first", "code": "insufficient_quota"}),
    ],
)
async def test_lasting_failures_are_not_retried(
    status: int, error: dict[str, Any], embedder: Embedder, endpoint: ScriptedEndpoint
) -> None:
    endpoint.script.append(Answer(status, {"error": error}))

    with pytest.raises(EmbeddingRefused, match=error["message"]):
        await embedder.embed(["one"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "not with embeddings"),
        ({"data": [{"index": 0, "embedding": ["a"]}]}, "not with embeddings"),
        ({"data": []}, "0 vectors for 1 texts"),
        ({"data": [{"index": 0, "embedding": [0.0] * 8}]}, "without a direction"),
        ({"data": [{"index": 0, "embedding": [1.0] * 9}]}, "set HOLDFAST_EMBEDDING_DIMENSIONS=9"),
    ],
)
async def test_answers_that_are_none_are_refused(
    body: Any, message: str, embedder: Embedder, endpoint: ScriptedEndpoint
) -> None:
    endpoint.script.append(Answer(200, body))

    with pytest.raises(EmbeddingRefused, match=message):
        await embedder.embed(["one"])


async def test_key_is_not_in_errors(embedder: Embedder, endpoint: ScriptedEndpoint) -> None:
    endpoint.script.append(Answer(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))

    with pytest.raises(EmbeddingFailed) as raised:
        await embedder.embed(["one"])

    assert KEY not in str(raised.value)


async def test_endpoint_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_endpoint() as gone:
        monkeypatch.setenv("OPENAI_BASE_URL", gone.url)

    async with open_embedder(Settings(embedding_model="openai/x", embedding_dimensions=8)) as embedder:
        assert embedder is not None
        with pytest.raises(EmbeddingUnavailable, match="does not answer"):
            await embedder.embed(["one"])


async def test_unknown_model_needs_its_dimensions() -> None:
    with pytest.raises(StartFailed, match="HOLDFAST_EMBEDDING_DIMENSIONS"):
        async with open_embedder(Settings(embedding_model="openai/bge-small")):
            pass
