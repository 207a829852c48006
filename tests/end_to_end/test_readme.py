"""The README's example prints the documented output, every setting is listed, and every link leads to a file."""

import asyncio
import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from openai import OpenAI

from infra.settings import Settings
from tests.holdfast import RunningHoldfast

pytestmark = pytest.mark.any_database

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
LEAVE = "Employees have twenty-five days of leave each year."
SETTINGS = (ROOT / "docs" / "settings.md").read_text()


def _first_block(language: str) -> str:
    return _blocks(language)[0]


def _blocks(language: str) -> list[str]:
    return [str(block) for block in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)]


async def test_example_prints_documented_output(holdfast: RunningHoldfast) -> None:
    example = _first_block("python").replace("http://127.0.0.1:8000", holdfast.url)
    printed = io.StringIO()

    with redirect_stdout(printed):
        await asyncio.to_thread(exec, compile(example, "README.md", "exec"), {})

    assert printed.getvalue() == _first_block("text")


async def test_example_of_search_answers_from_a_file(holdfast: RunningHoldfast) -> None:
    example = next(block for block in _blocks("python") if "vector_stores" in block)
    example = example.replace('open("handbook.pdf", "rb")', repr(("handbook.md", LEAVE.encode())))
    printed = io.StringIO()

    with redirect_stdout(printed), OpenAI(base_url=f"{holdfast.url}/v1", api_key="any") as client:
        await asyncio.to_thread(exec, compile(example, "README.md", "exec"), {"client": client})

    searched, said = printed.getvalue().split("\n", 1)
    assert searched == LEAVE
    assert said.splitlines() == [
        f"file_search returned: {LEAVE} 【0:0†handbook.md】",
        "【0:0†handbook.md】 is in handbook.md",
        f"quote: {LEAVE}",
    ]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_listed_with_its_description(name: str) -> None:
    [row] = re.findall(rf"^\| `HOLDFAST_{name.upper()}` \|.*$", SETTINGS, re.MULTILINE)

    assert str(Settings.model_fields[name].description) in row


def test_every_link_leads_to_a_file() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
