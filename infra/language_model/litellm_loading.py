"""Loading litellm: seconds of work, after which it contacts only the providers of the models that are called."""

import gc
import importlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from infra.language_model.content_parts import text_of_parts
from infra.language_model.failure_message import MAX_READ
from infra.language_model.finish_reasons import known_finish_reason
from infra.language_model.litellm_bedrock import refuse_other_documents
from infra.language_model.litellm_cohere import (
    ask_cohere_for_one_choice,
    read_coheres_events,
    send_coheres_tool_choice,
)
from infra.language_model.litellm_gemini import invent_no_endings, read_calls_without_arguments, send_top_logprobs
from infra.language_model.litellm_kept_fields import refuse_to_drop_kept_fields
from infra.language_model.litellm_lines import find_no_end_in_texts, leave_out_no_line
from infra.language_model.model_facts import PriceList, read_price_list
from infra.language_model.timeouts import CONNECT_TIMEOUT, READ_TIMEOUT
from infra.time_slices import TimeSlices

# Without these litellm fetches price lists and header lists from GitHub.
BUNDLED_LISTS = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS", "LITELLM_LOCAL_BLOG_POSTS")
MAX_REDACTED = 2 * MAX_READ
"""Characters of an error that litellm searches for secrets, and keeps: its own text comes first."""

LOG_LEVEL_VARIABLE = "LITELLM_LOG"


class UnfinishedAnswer(Exception):
    """A stream ended without the provider's sign that the answer is complete."""


@dataclass(frozen=True)
class LoadedLitellm:
    """`price_list` is the package's list of models, without later additions by Routers.

    `timeout` bounds each wait of a call, in litellm's form.
    """

    module: Any
    timeout: Any
    price_list: PriceList


@cache
def load_litellm() -> LoadedLitellm:
    """litellm, configured. Takes seconds the first time: call it in a thread."""
    os.environ.update(dict.fromkeys(BUNDLED_LISTS, "True"))
    # litellm takes 100 equal chunks for a failure of the model. A drawn line has as many, and a retry gives the same.
    os.environ.setdefault("REPEATED_STREAMING_CHUNK_LIMIT", "10000")
    import litellm

    # Its resources are half a second of imports, which the first call would otherwise do on the event loop.
    import openai.resources

    # It needs httpx, which processes without model calls do not load.
    from infra.language_model.litellm_connections import set_up_connections

    # litellm imports it at the first call with tools, in a thread beside running calls. These fail with a partly
    # imported httpx2, so it is imported here.
    importlib.import_module("litellm.responses.mcp.chat_completions_handler")
    # Tokenizers of the hub would be downloaded; the bundled one is a close estimate.
    litellm.disable_hf_tokenizer_download = True
    litellm.suppress_debug_info = True
    _retry_no_embeddings()
    _keep_quiet()
    _refuse_invented_endings()
    _keep_unknown_endings()
    _keep_refusals_and_logprobs()
    read_calls_without_arguments()
    invent_no_endings()
    send_top_logprobs()
    find_no_end_in_texts()
    leave_out_no_line()
    read_coheres_events()
    send_coheres_tool_choice()
    ask_cohere_for_one_choice()
    refuse_other_documents()
    _yield_between_chunks()
    _send_messages_as_they_are()
    _look_at_the_beginning_for_secrets()
    set_up_connections()
    refuse_to_drop_kept_fields()
    # The program does the same when it is ready, which may be before this import: a full collection over litellm's
    # objects takes half a second of the event loop.
    gc.freeze()
    timeout = openai.Timeout(READ_TIMEOUT.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
    return LoadedLitellm(litellm, timeout, read_price_list(litellm.model_cost))


def _retry_no_embeddings() -> None:
    # OpenAI's client embeds for Mistral and others. litellm gives it this number for 0 retries.
    import litellm

    module: Any = litellm
    module.DEFAULT_MAX_RETRIES = 0


def _keep_quiet() -> None:
    # litellm logs the errors that it raises, prompts included; LITELLM_LOG lets operators see them.
    if LOG_LEVEL_VARIABLE not in os.environ:
        for name in ("LiteLLM", "LiteLLM Router"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


def _refuse_invented_endings() -> None:
    # litellm ends a broken stream with a finish reason "stop" of its own, within several of its wrappers, and no caller
    # can distinguish it from the provider's. So it is refused where it is made.
    from litellm.litellm_core_utils import streaming_handler

    wrapper: Any = streaming_handler.CustomStreamWrapper
    wrapper.finish_reason_handler = _reported_ending(wrapper.finish_reason_handler)


def _reported_ending(make_ending: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def ending(stream: Any) -> Any:
        if stream.received_finish_reason is None and stream.intermittent_finish_reason is None:
            raise UnfinishedAnswer
        return make_ending(stream)

    return ending


def _keep_unknown_endings() -> None:
    # litellm reports "stop" for most finish reasons that mean a failure, and for every word that it does not know.
    from litellm.litellm_core_utils import core_helpers
    from litellm.types.utils import Choices

    helpers: Any = core_helpers
    helpers._FINISH_REASON_MAP = _FinishReasons()
    # In a whole answer litellm takes a word that it does not know for a mistake in the request.
    choices: Any = Choices
    choices.model_fields["finish_reason"].annotation = str
    choices.model_rebuild(force=True)


class _FinishReasons(dict[str, str]):
    """In place of litellm's table, in which it looks up words with `get`."""

    def get(self, word: str, default: Any = None) -> str:
        return known_finish_reason(word) or word


def _keep_refusals_and_logprobs() -> None:
    # litellm passes on only chunks with known content, and does not look for a refusal or for log probabilities.
    from litellm.litellm_core_utils import streaming_handler

    wrapper: Any = streaming_handler.CustomStreamWrapper
    wrapper.is_chunk_non_empty = _or_more(wrapper.is_chunk_non_empty)


def _or_more(has_content: Callable[..., bool]) -> Callable[..., bool]:
    def has_content_or_more(stream: Any, completion: Any, chunk: Any, response: Any) -> bool:
        has_more = getattr(chunk.choices[0].delta, "refusal", None) or response.get("logprobs")
        return bool(has_more) or has_content(stream, completion, chunk, response)

    return has_content_or_more


def _yield_between_chunks() -> None:
    # litellm reads all buffered chunks in one go, and does not pass on those without content: thousands of chunks in
    # one piece would block the event loop for seconds.
    from litellm.litellm_core_utils import streaming_handler

    wrapper: Any = streaming_handler.CustomStreamWrapper
    wrapper.__anext__ = _reading_in_slices(wrapper.__anext__)


def _reading_in_slices(read: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    async def read_in_slices(stream: Any) -> Any:
        source = stream.completion_stream
        if hasattr(source, "__aiter__") and not isinstance(source, _SlicedSource):
            stream.completion_stream = _SlicedSource(source)
        return await read(stream)

    return read_in_slices


class _SlicedSource:
    """The chunks of a provider in their order, with pauses for other tasks; otherwise `source` itself.

    litellm passes on only text: content in parts is joined.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
        self._chunks = aiter(source)
        self._slices = TimeSlices()

    def __aiter__(self) -> "_SlicedSource":
        return self

    async def __anext__(self) -> Any:
        await self._slices.checkpoint()
        chunk = await anext(self._chunks)
        for choice in getattr(chunk, "choices", None) or ():
            _join_parts(getattr(choice, "delta", None))
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def _join_parts(delta: Any) -> None:
    if isinstance(getattr(delta, "content", None), list):
        delta.content = text_of_parts(delta.content)


def _send_messages_as_they_are() -> None:
    # openai's client looks for keys to rename in every field of every message, of which there are none: 5,000 messages
    # blocked the event loop for more than a second.
    from openai.resources.chat.completions import completions

    calls: Any = completions
    calls.async_maybe_transform = _all_but_messages(calls.async_maybe_transform)


def _all_but_messages(transform: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def transform_rest(parameters: Mapping[str, Any], kind: Any) -> Any:
        rest = {name: value for name, value in parameters.items() if name != "messages"}
        return await transform(rest, kind) | {name: parameters[name] for name in parameters.keys() - rest.keys()}

    return transform_rest


def _look_at_the_beginning_for_secrets() -> None:
    # A provider's error may return the whole request, and litellm searches it six times for secrets, which takes two
    # seconds a megabyte on the event loop. Only the beginning is reported: failure_message.py.
    from litellm.litellm_core_utils import secret_redaction

    redaction: Any = secret_redaction
    redaction.python_redact_string = _of_the_beginning(redaction.python_redact_string)


def _of_the_beginning(redact: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: redact(text[:MAX_REDACTED])
