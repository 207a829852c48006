"""The one server that every client talks to: the real program, with a project for each client."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.cli.program import Place, Up
from tests.conformance.clients import Client

# A file that lists models: without one every name exists, and the SDKs' own 404 could not be had.
MODELS = {"model_list": [{"model_name": "gpt-4o", "litellm_params": {"model": "openai/gpt-4o", "api_key": "none"}}]}


@contextmanager
def serving(clients: Sequence[Client]) -> Iterator[str]:
    """Run Holdfast until the block ends. Yields the URL of its API; each client's name is a key."""
    with TemporaryDirectory() as folder:
        models = Path(folder) / "models.yaml"
        models.write_text(yaml.safe_dump(MODELS))
        # A project each, or clients would find each other's assistants in their lists.
        keys = ",".join(f"{client.name}={client.name}" for client in clients)
        up = Up(Place.new(Path(folder)), HOLDFAST_API_KEYS=keys, HOLDFAST_MODELS=str(models))
        try:
            yield f"{up.ready().place.url}/v1"
        finally:
            up.interrupt()
            up.process.wait()
