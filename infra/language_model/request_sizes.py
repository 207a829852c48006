"""How large a refused request was, and how large it may be: providers say it in words only."""

import re
from dataclasses import dataclass

from infra.language_model.failure_message import MAX_READ

_LIMIT, _REQUESTED = (rf"(?P<{name}>\d[\d,]{{0,15}})" for name in ("limit", "requested"))
_SAID = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for pattern in (
        # OpenAI and Groq, per minute or per request: `Limit 30000, Used 12, Requested 40000`.
        rf"\bLimit:? {_LIMIT}\b.{{0,100}}?\bRequested:? {_REQUESTED}\b",
        # OpenAI, vLLM, DeepSeek, OpenRouter; xAI.
        rf"maximum (?:context|prompt) length is {_LIMIT}\b.{{0,100}}?"
        rf"(?:requested|resulted in|request has|request contains) (?:about )?{_REQUESTED}\b",
        # Anthropic; Fireworks.
        rf"prompt is too long: {_REQUESTED}(?: tokens > |, model maximum context length: ){_LIMIT}\b",
        # Gemini.
        rf"input token count \(?{_REQUESTED}\)? exceeds the maximum number of tokens allowed \(?{_LIMIT}\b",
        # Mistral.
        rf"contains {_REQUESTED} tokens.{{0,60}}?too large for model with {_LIMIT} maximum context length",
    )
)


@dataclass(frozen=True, slots=True)
class RequestSize:
    """In tokens as the provider counts them; some count room for the answer as well."""

    limit: int
    requested: int


def size_in(said: str) -> RequestSize | None:
    """None if the provider did not say by how much the request is too large."""
    for pattern in _SAID:
        if found := pattern.search(said[:MAX_READ]):
            size = RequestSize(_number(found["limit"]), _number(found["requested"]))
            return size if size.requested > size.limit else None
    return None


def _number(written: str) -> int:
    return int(written.replace(",", ""))
