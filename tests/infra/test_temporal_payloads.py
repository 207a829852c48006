"""How values are converted for Temporal."""

import pytest
from pydantic import TypeAdapter
from temporalio.contrib import pydantic as temporal_pydantic

from infra.temporal import DATA_CONVERTER
from models.runs import RunStatus
from models.tool_calls import ToolKind
from models.turns import NextStep, ServerCall, TurnOutcome


def test_each_workflow_reads_a_type_without_preparing_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    call = ServerCall("call_1", ToolKind.FILE_SEARCH)
    outcome = TurnOutcome(NextStep.RUN_TOOLS, RunStatus.IN_PROGRESS, 1_800_000_000, (call,))
    payloads = DATA_CONVERTER.payload_converter.to_payloads([outcome])
    first, second = (DATA_CONVERTER.payload_converter_class() for _ in range(2))

    assert first.from_payloads(payloads, [TurnOutcome]) == [outcome]
    monkeypatch.setattr(TypeAdapter, "__init__", _refuse)
    assert second.from_payloads(payloads, [TurnOutcome]) == [outcome]
    with pytest.raises(AssertionError, match="prepared again"):
        temporal_pydantic.PydanticPayloadConverter().from_payloads(payloads, [TurnOutcome])


def _refuse(*_: object) -> None:
    raise AssertionError("prepared again")
