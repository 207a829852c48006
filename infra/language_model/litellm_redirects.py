"""Redirects, which litellm's connections would follow: with the prompt, and with keys that httpx knows no header of."""

from collections.abc import Callable
from typing import Any


def follow_no_redirects() -> None:
    from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler
    from litellm.llms.openai.common_utils import BaseOpenAILLM

    handler: Any = AsyncHTTPHandler
    handler.create_client = _following_none(handler.create_client)
    openais: Any = BaseOpenAILLM
    openais._get_async_http_client = staticmethod(_following_none(openais._get_async_http_client))


def _following_none(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_client(*args: Any, **kwargs: Any) -> Any:
        client = create(*args, **kwargs)
        client.follow_redirects = False
        return client

    return create_client
