"""What the README promises: its example runs whole and prints what it says, and its table names every setting."""

import asyncio
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from infra.settings import Settings
from tests.conformance.operations import OPERATIONS
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database

README = (Path(__file__).parents[2] / "README.md").read_text()


def _block(language: str) -> str:
    [block] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(block)


async def test_the_example_prints_what_the_readme_says(holdfast: RunningHoldfast) -> None:
    example = _block("python").replace("http://127.0.0.1:8000", holdfast.url)
    printed = io.StringIO()

    with redirect_stdout(printed):
        await asyncio.to_thread(exec, compile(example, "README.md", "exec"), {})

    assert printed.getvalue() == _block("text")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_listed_as_it_is_described(name: str) -> None:
    [row] = re.findall(rf"^\| `HOLDFAST_{name.upper()}` \|.*$", README, re.MULTILINE)

    assert str(Settings.model_fields[name].description) in row


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_table_has_every_operation(operation: str) -> None:
    assert re.search(rf"^\| `{re.escape(operation)}` +\|", README, re.MULTILINE)
