"""Bedrock's documents, of whose other kinds litellm raises an error that looks like an outage."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from infra.language_model.litellm_kept import FieldNotTaken, kept_of_call

Part = Mapping[str, Any]


def refuse_other_documents() -> None:
    from litellm.litellm_core_utils.prompt_templates.factory import BedrockConverseMessagesProcessor

    processor: Any = BedrockConverseMessagesProcessor
    processor._async_process_file_message = staticmethod(_naming(processor._async_process_file_message))


def _naming(block_of: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def named(message: Part) -> Any:
        try:
            return await block_of(message=message)
        except ValueError as error:
            raise FieldNotTaken(_place_of(message)) from error

    return named


def _place_of(part: Part) -> str:
    data = str(part["file"].get("file_data"))
    return next(place for place, payload in kept_of_call().parts.items() if data.endswith(f",{payload}"))
