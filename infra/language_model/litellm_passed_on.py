"""Answers of litellm to a `ChatBody` that asks for more than the port can say: several choices, log probabilities, …"""

import json
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from infra.daemon_threads import DaemonThreads
from infra.language_model.chat_completions.passed_on_answer import PassedOnAnswer
from infra.language_model.litellm_calls import LitellmCalls
from infra.language_model.litellm_completions import chunk_of, chunks_of, completion_of
from infra.language_model.litellm_kept import NOTHING_KEPT, Kept
from models.language_model import ChatBody, Finish, ModelDelta, PassedOn, TokenUsage

ASKED_FOR_WHOLE = frozenset({"n", "modalities", "audio"})
"""litellm's streams have one choice, and no sound."""


@dataclass(frozen=True)
class LitellmRequest:
    """`parameters` of a call of `model`; litellm may not drop what is `kept`."""

    model: str
    parameters: Mapping[str, Any]
    kept: Kept = NOTHING_KEPT


async def pass_on(
    calls: LitellmCalls, request: LitellmRequest, body: ChatBody, threads: DaemonThreads
) -> AsyncGenerator[ModelDelta, None]:
    """The provider's answer in OpenAI's form, as `LanguageModel.stream`. Raises as `LitellmCalls.stream`."""
    answer, has_functions = PassedOnAnswer(body), "functions" in body.fields
    if body.is_streamed and ASKED_FOR_WHOLE.isdisjoint(body.beyond):
        async with aclosing(await calls.stream(request.model, request.parameters, request.kept)) as chunks:
            async for chunk in chunks:
                for piece in _read(answer, [chunk_of(chunk, has_functions)]):
                    yield piece
                if answer.is_whole and not calls.learn_from_answers:
                    break
    else:
        whole = await calls.whole(request.model, request.parameters, request.kept)
        # It may be large.
        completion = await threads.run(completion_of, whole, has_functions)
        for piece in await threads.run(_read, answer, chunks_of(completion) if body.is_streamed else [completion]):
            yield piece
    yield Finish(answer.finish_reason, answer.usage or TokenUsage())


def _read(answer: PassedOnAnswer, pieces: Iterable[Mapping[str, Any]]) -> list[PassedOn]:
    return [read for piece in pieces for read in answer.read(json.dumps(piece).encode())]
