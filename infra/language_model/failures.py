"""The classification of failed calls, for all adapters."""

import re
from datetime import timedelta

from infra.language_model.errors import (
    AnswerAborted,
    ModelCallFailed,
    ModelStreamBroken,
    PromptRejected,
    PromptTooLarge,
    ProviderRefused,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimited,
)
from infra.language_model.failure_facts import TOO_LARGE, FailureFacts
from infra.language_model.failure_message import failure_message
from infra.language_model.request_sizes import size_in
from infra.openai_api import QUOTA_CODES, retry_after

RATE_CODES = frozenset({"rate_limit_exceeded", "rate_limit_error"})
# OpenAI and most others; llama.cpp; Anthropic.
SIZE_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error", "request_too_large"})
SIZE_CLASSES = frozenset({"ContextWindowExceededError"})
POLICY_CODES = frozenset({"content_policy_violation"})
POLICY_CLASSES = frozenset({"ContentPolicyViolationError"})
# Groq's, with the status of a bad prompt: it could not read the calls that the model wrote. The next may be better.
ABORT_CODES = frozenset({"tool_use_failed", "output_parse_failed"})
# litellm gives these the status of a bad prompt or of a broken server, but only the operator can fix them.
SETUP_PROBLEMS = re.compile(
    r"LLM Provider NOT provided|Missing credentials|Missing \w+ API [Kk]ey|no healthy deployments"
)
# litellm gives these the status of a bad prompt: it could not read the whole answer.
UNREAD_ANSWERS = re.compile(r"Error converting to valid response block|Got unexpected response from \w+:")


def failure_of(
    facts: FailureFacts, model: str, has_begun: bool, cooldown_seconds: float | None = None
) -> ModelCallFailed:
    """`has_begun`: part of the answer had arrived. `cooldown_seconds`: litellm's cooldown of the model, if any."""
    kind = _kind(facts, has_begun)
    message = failure_message(_what_happened(facts, model, has_begun), facts.said)
    if kind is PromptTooLarge:
        return PromptTooLarge(message, size_in(facts.said))
    cooldown = timedelta(seconds=cooldown_seconds) if cooldown_seconds is not None else None
    wait = retry_after(facts.headers, otherwise=cooldown) if kind.is_retryable else None
    return kind(message, wait)


def _what_happened(facts: FailureFacts, model: str, has_begun: bool) -> str:
    if has_begun:
        return f"The answer of '{model}' broke off"
    if facts.has_answer:
        return f"The provider of '{model}' answered {facts.status}"
    return f"The call of '{model}' failed"


def _kind(facts: FailureFacts, has_begun: bool) -> type[ModelCallFailed]:
    if facts.class_names & SIZE_CLASSES or facts.codes & SIZE_CODES:
        return PromptTooLarge
    if facts.class_names & POLICY_CLASSES or facts.codes & POLICY_CODES:
        return PromptRejected
    if facts.codes & ABORT_CODES:
        return AnswerAborted
    if SETUP_PROBLEMS.search(facts.said):
        return ProviderRefused
    if UNREAD_ANSWERS.search(facts.said):
        return AnswerAborted
    # With the code of a rate limit, but no wait makes the request fit.
    if facts.status == TOO_LARGE or size_in(facts.said):
        return PromptTooLarge
    if facts.codes & QUOTA_CODES:
        return QuotaExceeded
    if has_begun:
        return ModelStreamBroken
    if facts.codes & RATE_CODES:
        return RateLimited
    return _kind_of_status(facts)


def _kind_of_status(facts: FailureFacts) -> type[ModelCallFailed]:
    match facts.status:
        case 429:
            return RateLimited
        case 408 | 409:
            return ProviderUnavailable
        case 400 | 422:
            return PromptRejected
        case int(status) if status >= 500:
            return ProviderUnavailable
        case None if facts.is_connection_failure or "RouterRateLimitError" in facts.class_names:
            return ProviderUnavailable
    return ProviderRefused
