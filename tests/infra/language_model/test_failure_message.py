import pytest

from infra.language_model.failure_message import MAX_LENGTH, failure_message, without_wrapping


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("litellm.RateLimitError: RateLimitError: OpenAIException - Slow down.", "Slow down."),
        (
            "litellm.BadRequestError: You passed in model=x.\n\nLiteLLM: model group 'x' failed",
            "You passed in model=x.",
        ),
        (
            'litellm.AuthenticationError: AnthropicException - {"type":"error","error":{"message":"Bad key."}}',
            "Bad key.",
        ),
        ("litellm.APIError: GeminiException - {'not': json}", "{'not': json}"),
        ("litellm.Timeout: APITimeoutError - Request timed out.", "Request timed out."),
        ("Slow down. Received Model Group=a\nAvailable Model Group Fallbacks=None", "Slow down"),
        (
            "litellm.ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
            "OpenAIException - Too long.\nmodel=a. context_window_fallbacks=None. fallbacks=None.",
            "Too long.",
        ),
        (
            "litellm.UnsupportedParamsError: groq does not support parameters: ['x'], for model=m. To drop these, set "
            "`litellm.drop_params=True`",
            "groq does not support parameters: ['x'], for model=m.",
        ),
        (
            "litellm.InternalServerError: AnthropicException - Overloaded. Handle with `litellm.InternalServerError`.",
            "Overloaded",
        ),
        ("The error: it is here.", "The error: it is here."),
        ("A prompt with {braces} and Error: signs", "A prompt with {braces} and Error: signs"),
    ],
)
def test_litellms_wrapping_is_removed(raised: str, said: str) -> None:
    assert without_wrapping(raised) == said


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("key sk-abcdefghijklmnop is bad", "key sk-… is bad"),
        ("key sk-proj-abc_DEF-123456 is bad", "key sk-… is bad"),
        ("key gsk_abcdefghijkl is bad", "key gsk… is bad"),
        ("GET https://x.test/?key=AIzaSyAbcdefghijklm&alt=sse failed", "GET https://x.test/?key=AIz…&alt=sse failed"),
        ("Authorization: Bearer eyJhbGciOi.abc.def", "Authorization: Bearer eyJ…"),
        ("key abc****wxyz is bad", "key abc… is bad"),
        ("my task-list and **bold** ask-me-anything", "my task-list and **bold** ask-me-anything"),
        ("two\n  lines", "two lines"),
    ],
)
def test_secrets_are_masked_and_lines_are_joined(said: str, told: str) -> None:
    assert failure_message("x", said) == f"x: {told}"


def test_huge_message_is_truncated_before_search() -> None:
    assert len(failure_message("Failed", without_wrapping("E" * 3_000_000))) <= MAX_LENGTH
    assert len(failure_message("Failed", without_wrapping(" " * 3_000_000))) <= MAX_LENGTH
    assert len(failure_message("Failed", "*" * 3_000_000)) <= MAX_LENGTH
