"""The Temporal server's UI and namespace."""

from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from infra.errors import ConnectionFailed
from infra.settings import Settings
from infra.temporal import namespace_id, ui_url
from tests.conftest import settings_for
from tests.provider.scripted_provider import ScriptedProvider


def test_links_use_embedded_ui_or_configured_url(
    tmp_path: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    embedded = settings_for(tmp_path, 7233, provider)
    elsewhere: Settings = embedded.model_copy(update={"temporal_ui_url": "https://temporal.example.com/"})

    assert ui_url(embedded) == "http://127.0.0.1:8233"
    assert ui_url(elsewhere) == "https://temporal.example.com"
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example.com:7233")
    assert ui_url(embedded) is None
    assert ui_url(elsewhere) == "https://temporal.example.com"


async def test_namespace_that_is_not_described_is_reported(temporal: WorkflowEnvironment) -> None:
    client = Client(temporal.client.service_client, namespace="absent")

    with pytest.raises(ConnectionFailed, match=r"does not describe the namespace absent: .*not found"):
        await namespace_id(client)
