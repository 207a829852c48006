"""Failures that only litellm has, and exceptions that a scripted provider cannot cause."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import (
    ModelCallFailed,
    ModelStreamBroken,
    PromptRejected,
    ProviderRefused,
    ProviderUnavailable,
)
from infra.language_model.litellm_errors import translated
from infra.language_model.litellm_loading import MAX_REDACTED, load_litellm
from infra.language_model.litellm_model import LitellmLanguageModel
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Fails
from tests.provider.scripted_provider import ScriptedProvider


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (KeyError("choices"), ProviderRefused, "The call of 'm' failed: KeyError: 'choices'"),
        (ValueError(), ProviderRefused, "The call of 'm' failed: ValueError: "),
        (TimeoutError(), ProviderUnavailable, "The call of 'm' failed: TimeoutError"),
        (ConnectionResetError(104, "Connection reset by peer"), ProviderUnavailable, "Connection reset by peer"),
    ],
)
def test_unknown_exception_is_named(error: Exception, kind: type[ModelCallFailed], message: str) -> None:
    failure = translated(error, "m", has_begun=False)

    assert type(failure) is kind
    assert message.strip() in str(failure)
    assert type(translated(error, "m", has_begun=True)) is ModelStreamBroken


def test_exception_handled_by_caller_is_not_cause() -> None:
    caught: Exception | None = None
    try:
        try:
            raise ConnectionRefusedError(111, "Of another call")
        except OSError:
            raise KeyError("choices")  # noqa: B904 - that is the case
    except KeyError as error:
        caught = error

    assert caught is not None
    assert type(translated(caught, "m", has_begun=False)) is ProviderRefused


def test_lost_connection_has_no_status_whatever_numbers_its_text_has() -> None:
    litellm = load_litellm().module
    response = httpx.Response(403, request=httpx.Request("POST", "https://vendor.example"))
    refused = ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 40317)")
    # As its adapter of Gemini makes it, which finds "403" in the text.
    error = litellm.BadRequestError(message=str(refused), model="m", llm_provider="gemini", response=response)
    error.__cause__ = refused
    missing = litellm.BadRequestError(message="No file.", model="m", llm_provider="vertex_ai", response=response)
    missing.__cause__ = FileNotFoundError(2, "No such file or directory", "/credentials.json")

    assert type(translated(error, "m", has_begun=False)) is ProviderUnavailable
    assert type(translated(missing, "m", has_begun=False)) is not ProviderUnavailable


def test_translated_failure_is_unchanged() -> None:
    failure = ModelStreamBroken("The model called a function without naming it.")

    assert translated(failure, "m", has_begun=True) is failure


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("openai/gpt-4o", "OPENAI_API_KEY"),
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-pro", "GEMINI_API_KEY"),
    ],
)
async def test_missing_key_is_not_retryable(
    open_litellm_model: LitellmLanguageModel, monkeypatch: pytest.MonkeyPatch, name: str, key: str
) -> None:
    for variable in (key, "GOOGLE_API_KEY"):
        monkeypatch.delenv(variable, raising=False)

    failure = await _failure(open_litellm_model, name)

    assert type(failure) is ProviderRefused
    assert key in str(failure)
    assert "Traceback" not in str(failure)


async def test_name_without_provider_is_not_retryable(open_litellm_model: LitellmLanguageModel) -> None:
    failure = await _failure(open_litellm_model, "no-such-model")

    assert type(failure) is ProviderRefused
    assert str(failure).startswith("The call of 'no-such-model' failed: LLM Provider NOT provided")


async def test_unsupported_parameter_is_named(
    open_litellm_model: LitellmLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "gsk_scripted")
    request = replace(saying("groq/llama-3.3-70b-versatile"), reasoning_effort="high")

    with pytest.raises(PromptRejected, match=r"groq does not support parameters: \['reasoning_effort'\]"):
        await ask(open_litellm_model, request)


async def test_model_missing_from_file_is_rejected(provider: ScriptedProvider, tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    deployment = {"model_name": "known", "litellm_params": provider.litellm_params("openai/known")}
    file.write_text(yaml.safe_dump({"model_list": [deployment]}))

    failure = await _failure(LitellmLanguageModel(ModelCatalogue.load(file)), "unknown")

    assert type(failure) is ProviderRefused


async def test_only_beginning_of_error_with_prompt_is_searched(
    litellm_model: LitellmLanguageModel, provider: ScriptedProvider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.script(model, Fails(400, "Too much: " + "said before " * 100_000))
    load_litellm()
    looked_at: list[int] = []
    pattern = secret_redaction()._SECRET_RE

    class Recorded:
        def sub(self, replacement: str, text: str) -> str:
            looked_at.append(len(text))
            return str(pattern.sub(replacement, text))

    monkeypatch.setattr(secret_redaction(), "_SECRET_RE", Recorded())

    with pytest.raises(PromptRejected, match="answered 400: Too much: said before"):
        await ask(litellm_model, saying(model))

    assert looked_at
    assert max(looked_at) <= MAX_REDACTED


def secret_redaction() -> Any:
    return importlib.import_module("litellm.litellm_core_utils.secret_redaction")


async def _failure(language_model: LitellmLanguageModel, model: str) -> ModelCallFailed:
    with pytest.raises(ModelCallFailed) as caught:
        await ask(language_model, saying(model))
    return caught.value
