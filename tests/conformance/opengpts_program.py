"""What the README of OpenGPTs' assistants-api does, step by step, with the SDK release that it names (openai 1.26.0).

Its tool `web_retrieval` is left out. Like there, nothing waits for the file: the run begins while it is read.
Arguments: the server's URL, without `/v1` as there, a key, and the path of a file. Prints the last message and the
run's steps.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.conformance.python_program.checked_client import CheckedClient
from tests.conformance.python_program.scenarios import MODEL

ENDED = ("completed", "failed")
POLL_SECONDS = 0.2


def main(url: str, key: str, path: str) -> None:
    # Typed as in `scenarios.Sdk`: the types of one release do not hold for another.
    client: Any = CheckedClient(base_url=url, api_key=key, max_retries=0, timeout=30)
    beta = client.beta
    with Path(path).open("rb") as opened:
        file = client.files.create(file=opened, purpose="assistants")
    store = beta.vector_stores.create(name="my_info", file_ids=[file.id])
    assistant = beta.assistants.create(
        name="Demo Assistant",
        instructions="Always begin with the word 'APPLE'.",
        model=MODEL,
        tools=[{"type": "file_search"}],
        tool_resources={"file_search": {"vector_store_ids": [store.id]}},
    )
    thread = beta.threads.create(messages=[{"role": "user", "content": "What is in the file that I gave you?"}])
    run = beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)
    while run.status not in ENDED:
        time.sleep(POLL_SECONDS)
        run = beta.threads.runs.retrieve(thread_id=thread.id, run_id=run.id)
    newest = beta.threads.messages.list(thread_id=thread.id, order="desc").data[0]
    steps = beta.threads.runs.steps.list(thread_id=thread.id, run_id=run.id, order="asc").data
    outcome = {
        "file": file.to_dict(),
        "run": run.to_dict(),
        "text": newest.content[0].text.to_dict(),
        "steps": [step.to_dict() for step in steps],
        "violations": client.take_violations(),
    }
    sys.stdout.write(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
