"""A worker whose models are all called directly never imports litellm: half a second of each start, and 100 MB."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_for
from tests.holdfast import running_holdfast
from tests.provider.replies import Calls, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.valkey import ValkeyServer
from tests.worker_process import worker_process

PREFIXES = ("openai", "hosted_vllm", "ollama", "azure", "groq", "mistral", "openrouter")
TRACE_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}


def imported(module: str, trace: str) -> bool:
    return re.search(rf"^import time:.*\|\s+{module}$", trace, re.MULTILINE) is not None


def deployment(provider: ScriptedProvider, prefix: str) -> dict[str, Any]:
    params = provider.litellm_params(f"{prefix}/short-way-{prefix}")
    if prefix == "azure":
        params |= {"api_base": provider.root, "api_version": "2024-10-21"}
    return {"model_name": prefix, "litellm_params": params}


@pytest.mark.slow
@pytest.mark.any_database
async def test_worker_with_direct_models_never_imports_litellm(
    provider: ScriptedProvider, temporal_port: int, valkey: ValkeyServer, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path, temporal_port, provider, event_stream_url=valkey.url)
    provider.models_file(tmp_path, *(deployment(provider, prefix) for prefix in PREFIXES))
    for prefix in PREFIXES:
        provider.script(f"short-way-{prefix}", Calls(("weather", "{}"), usage=None), Says("It is sunny.", usage=None))

    async with (
        running_holdfast(settings, with_worker=False) as holdfast,
        worker_process(settings, "direct", **TRACE_IMPORTS) as worker,
    ):
        asked = [await holdfast.run(await holdfast.assistant(prefix, "weather")) for prefix in PREFIXES]
        waiting = [await holdfast.until(run, "requires_action") for run in asked]
        done = [await holdfast.until(await holdfast.submit(run, "sunny")) for run in waiting]
        trace = worker.output

    assert [run.status for run in done] == ["completed"] * len(PREFIXES)
    # What the calls need was imported, and its import traced.
    assert imported("httpx", trace)
    assert imported("tiktoken", trace)
    assert not imported("litellm", trace)
    assert not imported("openai", trace)
    # The API's, a quarter of the start.
    assert not imported("fastapi", trace)
