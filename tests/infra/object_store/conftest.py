"""Both object stores, each with a bucket or folder of the module's own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.object_store.directory import DirectoryObjectStore
from infra.object_store.s3 import open_s3_object_store
from infra.ports import ObjectStore
from tests.s3 import S3, S3Server


@pytest.fixture(scope="module", params=["directory", S3])
async def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ObjectStore]:
    if request.param == "directory":
        directory = DirectoryObjectStore(tmp_path_factory.mktemp("objects"))
        await directory.open()
        yield directory
        return
    server: S3Server = request.getfixturevalue("s3")
    async with open_s3_object_store(server.url("contract")) as bucket:
        yield bucket


@pytest.fixture
async def directory(tmp_path: Path) -> DirectoryObjectStore:
    opened = DirectoryObjectStore(tmp_path / "objects")
    await opened.open()
    return opened
