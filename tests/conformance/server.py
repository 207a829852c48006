"""The one server that every client talks to: the real program, with a project for each client."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from infra.settings import Settings
from tests.cli.program import HOLDFAST, Place, Up
from tests.code_runs import coding_sandbox, small_packages
from tests.conformance.python_program.scenarios import CUT_OFF, SPEAKS_AND_HANGS, STOPPED_BY_FILTER
from tests.holdfast import running_holdfast
from tests.provider.replies import Hangs, Reply, Says
from tests.provider.scripted_provider import ScriptedProvider, running_provider

# Beside the built-in model, which never fails and never takes its time. Each client asks each a few times.
SCRIPTS: dict[str, list[Reply]] = {
    SPEAKS_AND_HANGS: [Hangs("Once upon")] * 100,
    CUT_OFF: [Says("Once upon", finish="length")] * 100,
    STOPPED_BY_FILTER: [Says("Once upon", finish="content_filter")] * 100,
}
KEEPALIVE_SECONDS = 1


@contextmanager
def serving(projects: Sequence[str], **settings: str) -> Iterator[str]:
    """Run Holdfast until the block ends. Yields the URL of its API; each project's name is its key.

    `settings` are environment variables of the program.
    """
    with TemporaryDirectory() as folder, small_packages() as packages, running_provider() as provider:
        models = Path(folder) / "models.yaml"
        models.write_text(yaml.safe_dump({"model_list": _deployments(provider)}))
        keys = ",".join(f"{project}={project}" for project in projects)
        up = Up(
            Place.new(Path(folder)),
            (*HOLDFAST, "up"),
            HOLDFAST_API_KEYS=keys,
            HOLDFAST_MODELS=str(models),
            HOLDFAST_KEEPALIVE_SECONDS=str(KEEPALIVE_SECONDS),
            # Its own sandbox, with few packages, of which nothing is installed.
            HOLDFAST_SANDBOX_URL="",
            HOLDFAST_SANDBOX_PACKAGES_DIR=str(packages),
            **settings,
        )
        try:
            yield f"{up.ready().place.url}/v1"
        finally:
            up.interrupt()
            up.process.wait()


@asynccontextmanager
async def serving_here(projects: Sequence[str], provider: ScriptedProvider, settings: Settings) -> AsyncIterator[str]:
    """The same in this process, with `settings`, for clients that do not read the web."""
    assert settings.models is not None
    settings.models.write_text(yaml.safe_dump({"model_list": _deployments(provider)}))
    async with coding_sandbox() as (_, sandbox_url):
        keys = {project: project for project in projects}
        own = {"api_keys": keys, "keepalive_seconds": KEEPALIVE_SECONDS, "sandbox_url": sandbox_url}
        async with running_holdfast(settings.model_copy(update=own)) as running:
            yield f"{running.url}/v1"


def _deployments(provider: ScriptedProvider) -> list[dict[str, object]]:
    """A list of models: without one every name exists, and the SDKs' own 404 could not be had."""
    for model, replies in SCRIPTS.items():
        provider.script(model, *replies)
    return [
        {"model_name": model, "litellm_params": provider.litellm_params(f"openai/{model}")}
        for model in ("gpt-4o", *SCRIPTS)
    ]
