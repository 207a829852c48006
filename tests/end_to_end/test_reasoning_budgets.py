"""Claude's effort is a number of tokens: in a later turn it is below what the run has left."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_for
from tests.holdfast import running_holdfast
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays

# litellm is loaded, as by tests/infra/language_model.
pytestmark = [pytest.mark.any_database, pytest.mark.slow, pytest.mark.xdist_group("litellm")]

CLAUDE = "claude-sonnet-4-5"
LIMIT = 6_000
THINKING: Any = {"type": "thinking", "thinking": "Hm.", "signature": "c2lnbmF0dXJl"}
SUNNY: Any = {"type": "text", "text": "Sunny."}
CALL: Any = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}}


@pytest.mark.parametrize(("used", "thinks"), [(3_000, True), (5_500, False)])
async def test_budget_of_a_later_turn_is_below_the_tokens_that_are_left(
    provider: ScriptedProvider, temporal_port: int, tmp_path: Path, used: int, thinks: bool
) -> None:
    name = f"{CLAUDE}-two-turns-{used}"
    params = {**provider.litellm_params(f"anthropic/{name}"), "api_base": provider.root}
    settings = settings_for(tmp_path, temporal_port, provider)
    provider.models_file(tmp_path, {"model_name": name, "litellm_params": params})
    provider.script(
        name, ClaudeSays((THINKING, CALL), "tool_use", used), ClaudeSays(({"type": "text", "text": "Sunny."},))
    )

    async with running_holdfast(settings) as holdfast:
        assistant = await holdfast.assistant(name, "weather", reasoning_effort="high")
        run = await holdfast.run(assistant, max_completion_tokens=LIMIT)
        waiting = await holdfast.until(run, "requires_action")
        done = await holdfast.until(await holdfast.submit(waiting, "sunny"))

    assert (done.status, done.last_error) == ("completed", None)
    first, second = provider.requests(name)
    assert (first["max_tokens"], second["max_tokens"]) == (LIMIT, LIMIT - used)
    assert first["thinking"]["budget_tokens"] < LIMIT
    assert ("thinking" in second) is thinks
    if thinks:
        assert second["thinking"]["budget_tokens"] < LIMIT - used < first["thinking"]["budget_tokens"]
