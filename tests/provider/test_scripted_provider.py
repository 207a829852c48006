import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

from tests.provider.replies import BreaksOff, Calls, Chunks, Fails, Hangs, Held, InOnePiece, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider


@pytest.fixture
def client(provider: ScriptedProvider) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=provider.url, api_key="any", max_retries=0)


async def chunks(client: openai.AsyncOpenAI, model: str, usage: bool = True) -> list[ChatCompletionChunk]:
    stream = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        stream_options={"include_usage": usage},
    )
    return [chunk async for chunk in stream]


def said(answer: list[ChatCompletionChunk]) -> list[str]:
    return [chunk.choices[0].delta.content for chunk in answer if chunk.choices and chunk.choices[0].delta.content]


async def test_it_speaks_openais_wire(client: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.script("wire", Says("It is sunny."), Calls(("get_weather", '{"city": "Rome"}'), ("get_rain", "{}")))

    text, calls = await chunks(client, "wire"), await chunks(client, "wire")

    assert said(text) == ["It", " is", " sunny."]
    assert [chunk.choices[0].finish_reason for chunk in text if chunk.choices][-1] == "stop"
    assert text[-1].usage is not None
    assert text[-1].usage.total_tokens == 15
    pieces = [piece for chunk in calls if chunk.choices for piece in chunk.choices[0].delta.tool_calls or []]
    assert [piece.function.name for piece in pieces if piece.function and piece.function.name] == [
        "get_weather",
        "get_rain",
    ]
    assert [request["messages"] for request in provider.requests("wire")] == [
        [{"role": "user", "content": "Hello"}]
    ] * 2


async def test_usage_comes_only_if_it_is_asked_for(client: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.script("usage", Says("Hi."), Says("Hi.", usage=None))

    assert all(chunk.usage is None for chunk in await chunks(client, "usage", usage=False))
    assert all(chunk.usage is None for chunk in await chunks(client, "usage"))


async def test_it_fails_as_scripted(client: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.script("fails", Fails(429, "Slow down.", code="rate_limit_exceeded", headers={"Retry-After": "7"}))

    with pytest.raises(openai.RateLimitError, match=r"Slow down\.") as caught:
        await chunks(client, "fails")

    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"


async def test_a_script_that_ran_out_says_so(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="The script of model 'unscripted' has no reply left"):
        await chunks(client, "unscripted")


@pytest.mark.parametrize("after", ["", "It is"])
async def test_it_breaks_off(client: openai.AsyncOpenAI, provider: ScriptedProvider, after: str) -> None:
    provider.script("breaks", BreaksOff(after))

    with pytest.raises(httpx.RemoteProtocolError):
        await chunks(client, "breaks")


async def test_it_sends_chunks_as_they_are(client: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.script("raw", Chunks(chunk_of({"content": "a"}), '{"choices": []}', done=False))

    assert len(await chunks(client, "raw")) == 2


async def test_it_sends_all_in_one_piece(provider: ScriptedProvider) -> None:
    provider.script("piece", InOnePiece(Says("It is sunny.")))

    async with httpx.AsyncClient(base_url=provider.url) as http:
        body = {"model": "piece", "stream": True}
        async with http.stream("POST", "/chat/completions", json=body) as response:
            pieces = [piece async for piece in response.aiter_raw()]

    assert len(pieces) == 1
    assert pieces[0].count(b"data: ") == 6


async def test_it_notices_that_a_client_left(client: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    provider.script("hangs", Hangs("It"))
    stream = await client.chat.completions.create(
        model="hangs", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    assert (await anext(aiter(stream))).choices[0].delta.content == "It"

    await stream.close()

    await provider.disconnected("hangs")


async def test_a_reply_waits_until_it_is_released(client: openai.AsyncOpenAI, provider: ScriptedProvider) -> None:
    held = Held(Says(" sunny."), after="It is")
    provider.script("held", held)
    stream = await client.chat.completions.create(
        model="held", messages=[{"role": "user", "content": "Hello"}], stream=True
    )

    await held.arrived()
    held.release()

    assert said([chunk async for chunk in stream]) == ["It", " is", " sunny."]


async def test_it_answers_nothing_but_streams_of_chat_completions(provider: ScriptedProvider) -> None:
    async with httpx.AsyncClient(base_url=provider.url) as http:
        assert (await http.get("/models")).status_code == 404
        assert (await http.post("/chat/completions", json={"model": "m"})).status_code == 400
