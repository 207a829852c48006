"""The program in the README of OpenGPTs' assistants-api, with its tool `web_retrieval` beside `file_search`."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.program import tied
from tests.conformance.clients import PythonClient
from tests.conformance.environments import python_environment
from tests.web_site import SEARCHED, WebSite

RELEASE = PythonClient("1.26.0")
ROOT = Path(__file__).parents[2]
OF_FILE = "The file says that there are six weeks of vacation."

pytestmark = [pytest.mark.conformance, pytest.mark.xdist_group("conformance"), pytest.mark.timeout(900)]


def test_program_of_the_readme_is_answered_from_its_file_and_from_the_web(
    url: str, site: WebSite, tmp_path: Path
) -> None:
    python, file = python_environment(RELEASE.name) / "python", tmp_path / "my_info.txt"
    file.write_text(OF_FILE)
    program = [str(python), "-W", "ignore", "-m", "tests.conformance.opengpts_web_program"]

    page = f"{site.url}/page/3"
    command = tied([*program, url.removesuffix("/v1"), "opengpts-web", str(file), page])
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)

    assert ended.returncode == 0, ended.stderr[-2000:]
    outcome = json.loads(ended.stdout)
    assert outcome["crawled"]["message"] == "Crawling completed successfully."
    assert outcome["crawled"]["crawl_infos"] == [{"url": page, "error": None, "content": "<REMOVED>", "depth": 0}]
    assert (outcome["status"], outcome["tools"]) == ("completed", ["file_search", "web_retrieval"])
    called, _ = outcome["steps"]
    searched, retrieved = called["tool_calls"]
    assert (searched["type"], retrieved["type"]) == ("file_search", "web_retrieval")
    assert retrieved["query"] == "How much vacation is there?"
    assert [(each["url"], SEARCHED in each["content"]) for each in retrieved["retrieval"]] == [(page, True)]
    text = outcome["text"]
    assert OF_FILE in text["value"]
    assert SEARCHED in text["value"]
    assert [each["type"] for each in text["annotations"]] == ["file_citation", "url_citation"]
    assert text["annotations"][1]["url_citation"] == {"url": page, "title": "Page 3"}
    assert outcome["forgotten"] == {"message": "Collection 'web_retrieval' deleted successfully."}
