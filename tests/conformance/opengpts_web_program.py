"""What the README of OpenGPTs' assistants-api does with the web, through openai 1.26.0: crawl, ask, poll, forget.

The release that its users install has `client.ops.web_retrieval`, which the published one lacks: the same requests are
sent by `client.post`. Arguments: the server's URL, without `/v1` as there, a key, a file's path, and a site's URL.
Prints what it was answered.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from openai import OpenAI

from tests.conformance.python_program.scenarios import MODEL

ENDED = ("completed", "failed")
POLL_SECONDS = 0.2
CRAWL = "/ops/web_retrieval"


def main(url: str, key: str, path: str, site: str) -> None:
    # Typed as in `scenarios.Sdk`: the types of one release do not hold for another.
    client: Any = OpenAI(base_url=url, api_key=key, max_retries=0, timeout=120)
    crawl = {"root_urls": [site], "max_depth": 0, "constrain_to_root_domain": True, "description": "A site."}
    crawled = client.post(CRAWL, body=crawl, cast_to=object)
    with Path(path).open("rb") as opened:
        file = client.files.create(file=opened, purpose="assistants")
    store = client.beta.vector_stores.create(name="my_info", file_ids=[file.id])
    while client.beta.vector_stores.retrieve(store.id).status == "in_progress":
        time.sleep(POLL_SECONDS)
    assistant = client.beta.assistants.create(
        name="Demo Assistant",
        instructions="Always begin with the word 'APPLE'.",
        model=MODEL,
        tools=[{"type": "file_search"}, {"type": "web_retrieval"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    thread = client.beta.threads.create(messages=[{"role": "user", "content": "How much vacation is there?"}])
    run = client.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)
    while run.status not in ENDED:
        time.sleep(POLL_SECONDS)
        run = client.beta.threads.runs.retrieve(thread_id=thread.id, run_id=run.id)
    steps = client.beta.threads.runs.steps.list(thread_id=thread.id, run_id=run.id, order="asc").data
    newest = client.beta.threads.messages.list(thread_id=thread.id, order="desc").data[0]
    outcome = {
        "crawled": crawled,
        "tools": [tool.type for tool in assistant.tools],
        "status": run.status,
        "steps": [step.step_details.model_dump() for step in steps],
        "text": newest.content[0].text.model_dump(),
        "forgotten": client.delete(CRAWL, cast_to=object),
    }
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
