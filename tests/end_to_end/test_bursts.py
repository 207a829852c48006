"""An answer of thousands of chunks in one piece: other requests are served meanwhile, and the model is asked once."""

import asyncio

import httpx
import pytest

from tests.holdfast import RunningHoldfast
from tests.infra.language_model.test_bursts import loop_stays_free
from tests.provider.replies import Calls, Chunks, InOnePiece, Reply, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

pytestmark = [pytest.mark.any_database, pytest.mark.slow]

CHUNKS = 6_000
WORDS = Chunks(*[chunk_of({"content": "word "})] * CHUNKS, chunk_of({}, "stop"))
ARGUMENTS = Calls(("weather", f'{{"cities": [{", ".join(["8"] * 3 * CHUNKS)}]}}'))


@pytest.mark.parametrize("reply", [WORDS, ARGUMENTS], ids=["words", "arguments"])
async def test_burst_holds_up_no_other_request(
    holdfast: RunningHoldfast, provider: ScriptedProvider, reply: Reply, request: pytest.FixtureRequest
) -> None:
    model = f"burst-{request.node.callspec.id}"
    provider.script(model, InOnePiece(reply), Says("Thanks."))
    assistant = await holdfast.assistant(model, "weather")
    served = 0

    async def ask_for_health() -> None:
        nonlocal served
        async with httpx.AsyncClient() as http:
            while True:
                (await http.get(f"{holdfast.url}/health")).raise_for_status()
                served += 1

    async with loop_stays_free():
        others = asyncio.create_task(ask_for_health())
        run = await holdfast.until(await holdfast.run(assistant))
        others.cancel()

    assert run.status in ("completed", "requires_action")
    assert served > 1
    assert len(provider.requests(model)) == 1
