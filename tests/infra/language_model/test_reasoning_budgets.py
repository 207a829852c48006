"""Claude's reasoning is below the limit of the answer: it is lowered where a run has few tokens left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.reasoning_budgets import with_affordable_effort
from tests.infra.language_model.answers import ask, saying
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays

BUDGETS = {"low": 1024, "medium": 2048, "high": 4096, "xhigh": 8192, "max": 16384}
LEAST_BUDGET = 1024


@pytest.mark.parametrize(
    ("effort", "limit", "sent"),
    [
        ("high", None, "high"),
        ("high", 4097, "high"),
        ("high", 4096, "medium"),
        ("high", 1025, "low"),
        ("high", 1024, None),
        ("max", 5000, "high"),
        ("minimal", 2000, "minimal"),
        ("minimal", 1024, None),
        ("none", 10, "none"),
        (None, 10, None),
    ],
)
def test_largest_effort_that_fits_is_sent(effort: str | None, limit: int | None, sent: str | None) -> None:
    given = {"reasoning_effort": effort, "max_tokens": limit}
    parameters: dict[str, Any] = {"messages": [], **{name: value for name, value in given.items() if value is not None}}

    affordable = with_affordable_effort(parameters, BUDGETS)

    assert affordable == {**parameters, "reasoning_effort": sent} if sent else "reasoning_effort" not in affordable


@pytest.mark.parametrize("limit", [100, 1024, 1025, 3000, 100_000])
@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high"])
async def test_budget_of_litellm_is_below_the_limit(
    provider: ScriptedProvider, tmp_path: Path, model: str, effort: str, limit: int
) -> None:
    name = f"claude-sonnet-4-5-{model}"
    parameters = {**provider.litellm_params(f"anthropic/{name}"), "api_base": provider.url.removesuffix("/v1")}
    models = provider.models_file(tmp_path, {"model_name": name, "litellm_params": parameters})
    adapter = LitellmLanguageModel(ModelCatalogue.load(models))
    provider.script(name, ClaudeSays(({"type": "text", "text": "Hello."},)))

    answered = await ask(adapter, replace(saying(name), reasoning_effort=effort, max_tokens=limit))

    [request] = provider.requests(name)
    thinking: dict[str, Any] | None = request.get("thinking")
    assert answered.text == "Hello."
    assert request["max_tokens"] == limit
    assert (thinking is not None) == (limit > LEAST_BUDGET)
    if thinking:
        assert LEAST_BUDGET <= thinking["budget_tokens"] < limit
