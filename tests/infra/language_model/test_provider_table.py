"""The table of providers in docs/models.md says what the wire of each provider shows."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.dialects import DIALECTS, PLAIN
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.selection import LanguageModelByName
from tests.infra.language_model.provider_rows import COLUMNS, ROWS, Row, Trial
from tests.provider.scripted_provider import ScriptedProvider

DOCUMENT = Path(__file__).parents[3] / "docs" / "models.md"
HEADER = ("Provider", "Prefix", "Called", *COLUMNS)


def documented() -> list[list[str]]:
    lines = DOCUMENT.read_text().splitlines()
    start = lines.index(line_of(HEADER))
    rows = lines[start + 2 :]
    end = next((index for index, line in enumerate(rows) if not line.startswith("|")), len(rows))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[:end]]


def line_of(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


@pytest.fixture
async def trial(
    request: pytest.FixtureRequest, provider: ScriptedProvider, tmp_path: Path, model: str
) -> AsyncIterator[Trial]:
    row: Row = request.param
    name = row.model or model
    base = (provider.root if row.has_root else provider.url) + row.path
    params = {"model": f"{row.prefix}/{name}", "api_base": base, "api_key": "k", **dict(row.params)}
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": "asked", "litellm_params": params}]}))
    catalogue = ModelCatalogue.load(path)
    direct = ChatCompletionsLanguageModel(catalogue)
    assert await direct.serves("asked") is (row.way == "directly")
    language_model = LanguageModelByName(catalogue, direct, LitellmLanguageModel(catalogue))
    yield Trial(language_model, provider, row, "asked", DIALECTS.get(row.prefix, PLAIN).model(name))
    await direct.close()


@pytest.mark.xdist_group("litellm")
@pytest.mark.parametrize("trial", ROWS, ids=lambda row: row.provider, indirect=True)
async def test_row_says_what_wire_shows(trial: Trial) -> None:
    row = trial.row

    expected = [row.provider, f"`{row.prefix}/`", row.way, *await trial.cells()]

    assert expected in documented(), line_of(expected)


def test_table_has_rows_of_tested_providers_only() -> None:
    assert [row[0] for row in documented()] == [row.provider for row in ROWS]
