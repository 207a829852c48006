"""Tries every operation with `AzureOpenAI` of this SDK, at Azure's addresses. Arguments: as `python_program`."""

import sys

from tests.conformance.python_program.__main__ import try_all
from tests.conformance.python_program.checked_client import CheckedAzureClient

API_VERSION = "2025-01-01-preview"


def main(url: str, key: str) -> None:
    endpoint = f"{url.removesuffix('/v1')}/openai"
    try_all(CheckedAzureClient(base_url=endpoint, api_key=key, api_version=API_VERSION, max_retries=0, timeout=30))


if __name__ == "__main__":
    main(*sys.argv[1:])
