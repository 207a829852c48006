"""The words in which providers say that a request is larger than they take."""

import pytest

from infra.language_model.request_sizes import RequestSize, size_in

SAID = {
    "OpenAI, a minute": "Request too large for gpt-4o on tokens per min (TPM): Limit 30,000, Requested 41234.",
    "Groq": "Request too large on tokens per minute (TPM): Limit 30000, Used 12, Requested 41234, please reduce it.",
    "Limit:": "tokens: Limit: 30000 / min, Requested: 41234",
    "OpenAI": "This model's maximum context length is 30000 tokens. However, your messages resulted in 41234 tokens.",
    "vLLM": "This model's maximum context length is 30000 tokens. However, you requested 41234 tokens (41000 in the …",
    "vLLM, newer": "This model's maximum context length is 30000 tokens. However, your request has 41234 input tokens.",
    "OpenRouter": "This endpoint's maximum context length is 30000 tokens. However, you requested about 41234 tokens",
    "xAI": "This model's maximum prompt length is 30000 but the request contains 41234 tokens.",
    "Anthropic": "prompt is too long: 41234 tokens > 30000 maximum",
    "Fireworks": "The prompt is too long: 41234, model maximum context length: 30000",
    "Gemini": "The input token count (41234) exceeds the maximum number of tokens allowed (30000).",
    "Gemini, older": "The input token count 41234 exceeds the maximum number of tokens allowed 30000.",
    "Mistral": "Prompt contains 41234 tokens and 0 draft tokens, too large for model with 30000 maximum context length",
}


@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_limit_and_size_are_found(said: str) -> None:
    assert size_in(said) == RequestSize(limit=30_000, requested=41_234)


@pytest.mark.parametrize(
    "said",
    [
        "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Try again in 2 s.",
        "Limit 30000, Requested 30000",
        "Request too large.",
        "Limit 1, " + "x" * 200 + " Requested 2",
        "",
    ],
)
def test_other_words_are_no_size(said: str) -> None:
    assert size_in(said) is None
