"""The provider of a model in OpenTelemetry's GenAI conventions, from litellm's name of the model."""

import re

OTHER = "_OTHER"
"""The convention's name for an unknown provider."""

CONVENTIONAL: dict[str, str] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
"""litellm's prefixes with another name in the conventions."""

BY_MODEL = (
    (re.compile(r"(gpt|chatgpt|o\d)\b"), "openai"),
    (re.compile(r"claude\b"), "anthropic"),
    (re.compile(r"gemini\b"), "gcp.gemini"),
    (re.compile(r"command\b"), "cohere"),
)
"""Names that litellm accepts without a prefix."""


def provider_name(model: str) -> str:
    """`openai` for `gpt-4o` and `openai/gpt-4o`, `aws.bedrock` for `bedrock/…`, `holdfast` for the scripted model."""
    prefix, slash, _ = model.partition("/")
    if slash:
        return CONVENTIONAL.get(prefix, prefix)
    return next((provider for pattern, provider in BY_MODEL if pattern.match(model)), OTHER)
