"""The program in the README of OpenGPTs' assistants-api, whose users Holdfast serves as well, finds what it expects."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import tied
from tests.conformance.clients import PythonClient
from tests.conformance.environments import python_environment
from tests.infra.documents.files import pdf

RELEASE = PythonClient("1.26.0")
ROOT = Path(__file__).parents[2]
FIRST, SECOND = "My name is Ada and I build engines.", "The file that I gave you names my cat: Lovelace."

pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("conformance"), pytest.mark.timeout(900)]


def test_program_of_the_readme_is_answered_from_its_pdf(url: str, tmp_path: Path) -> None:
    python, file = python_environment(RELEASE.name) / "python", tmp_path / "my_info.pdf"
    file.write_bytes(pdf(FIRST, SECOND))
    program = [str(python), "-W", "ignore::DeprecationWarning", "-m", "tests.conformance.opengpts_program"]

    command = tied([*program, url.removesuffix("/v1"), "opengpts", str(file)])
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)

    assert ended.returncode == 0, ended.stderr[-2000:]
    outcome = json.loads(ended.stdout)
    assert outcome["violations"] == []
    assert outcome["run"]["status"] == "completed", outcome["run"]
    [searched, _] = outcome["steps"]
    [call] = searched["step_details"]["tool_calls"]
    assert call["type"] == "file_search"
    text = outcome["text"]
    assert SECOND in text["value"]
    [cited] = text["annotations"]
    assert cited["file_citation"]["file_id"] == outcome["file"]["id"]
    assert text["value"][cited["start_index"] : cited["end_index"]] == cited["text"] == "【0:0†my_info.pdf】"
