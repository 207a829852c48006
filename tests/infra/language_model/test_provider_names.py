"""The provider of a model, by its litellm name."""

import pytest

from infra.language_model.provider_names import provider_name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "openai"),
        ("o3-mini", "openai"),
        ("openai/gpt-4o", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("anthropic/claude-sonnet-4-5", "anthropic"),
        ("azure/my-deployment", "azure.ai.openai"),
        ("bedrock/anthropic.claude-v2", "aws.bedrock"),
        ("ollama/llama3.1", "ollama"),
        ("holdfast/scripted", "holdfast"),
        ("my-own", "_OTHER"),
        ("o3x", "_OTHER"),
    ],
)
def test_provider_is_derived_from_model_name(model: str, name: str) -> None:
    assert provider_name(model) == name
