"""Objects in a bucket of anything that speaks S3.

The `minio` client blocks: each of its calls runs in a thread, with time limits and retries of our own, as its defaults
wait for minutes on a server that is gone. The parts that a killed process leaves of an unfinished object are removed by
the bucket's lifecycle rule, where it has one.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from io import BytesIO
from itertools import islice
from typing import BinaryIO, ParamSpec, TypeVar, cast

from minio import Minio, S3Error
from minio.credentials.providers import EnvAWSProvider
from minio.error import MinioException
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from infra.background import PATIENCE
from infra.errors import ConnectionFailed
from infra.object_store.errors import ObjectMissing, ObjectStoreUnavailable
from infra.object_store.feed import Feed, FeedAborted
from infra.object_store.pieces import PIECE_BYTES, in_pieces
from infra.object_store.s3_url import S3Address, parse_s3_url
from models.stored_objects import StoredObject

PART_BYTES = 5 * 1024 * 1024
CONNECT_TIMEOUT = timedelta(seconds=3)
# Between two packets, not for a whole answer.
READ_TIMEOUT = timedelta(seconds=20)
RETRIES = Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504), allowed_methods=None)
THREADS = 32
"""Calls at a time, of uploads and of all others: an upload has its thread as long as its client sends."""

CHECK_KEY = ".check"
ABSENT = frozenset({"NoSuchKey", "NoSuchObject", "ResourceNotFound"})
PAST_THE_END = frozenset({"InvalidRange"})
BUCKET_IS_THERE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})

P = ParamSpec("P")
Result = TypeVar("Result")


class S3ObjectStore:
    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._uploads = ThreadPoolExecutor(THREADS, "object-upload")
        self._others = ThreadPoolExecutor(THREADS, "object")

    async def put(self, key: str, content: AsyncIterable[bytes]) -> int:
        feed = Feed()
        size = 0
        writing = asyncio.get_running_loop().run_in_executor(self._uploads, self._put, key, feed)
        writing.add_done_callback(feed.stop_waiting)
        try:
            async for piece in in_pieces(content):
                if not await feed.write(piece):
                    break
                size += len(piece)
            feed.end()
            await asyncio.shield(writing)
        except BaseException:
            feed.abort()
            # Until it has removed what it began. It may have failed by itself.
            await asyncio.wait([writing], timeout=PATIENCE.total_seconds())
            if writing.done() and not writing.cancelled():
                writing.exception()
            raise
        return size

    async def get(self, key: str, first: int = 0, last: int | None = None) -> AsyncGenerator[bytes, None]:
        length = 0 if last is None else last - first + 1
        try:
            response = await self._call(self._client.get_object, self._bucket, key, first, length)
        except S3Error as error:
            if error.code in PAST_THE_END:
                return
            raise ObjectMissing(key) from error
        try:
            while piece := await self._call(response.read, PIECE_BYTES):
                yield piece
        finally:
            _close(response)

    async def delete(self, key: str) -> None:
        with contextlib.suppress(S3Error):
            await self._call(self._client.remove_object, self._bucket, key)

    async def list_page(self, after: str, limit: int) -> Sequence[StoredObject]:
        return await self._call(lambda: list(islice(self._list(after), limit)))

    async def check(self) -> None:
        await self._call(self._client.put_object, self._bucket, CHECK_KEY, BytesIO(b"."), 1)

    def close(self) -> None:
        for pool in (self._uploads, self._others):
            pool.shutdown(wait=False, cancel_futures=True)

    def make_bucket(self) -> None:
        """Make it where it is missing."""
        if self._client.bucket_exists(self._bucket):
            return
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as error:
            # Another process of this server starts as well.
            if error.code not in BUCKET_IS_THERE:
                raise

    async def open(self) -> None:
        """Raises `ObjectStoreUnavailable`."""
        await self._call(self.make_bucket)

    def _put(self, key: str, feed: Feed) -> None:
        with _translated():
            # One part at a time: each that is sent beside it is held in memory.
            source = cast(BinaryIO, feed)
            self._client.put_object(self._bucket, key, source, -1, part_size=PART_BYTES, num_parallel_uploads=1)

    def _list(self, after: str) -> Iterator[StoredObject]:
        for found in self._client.list_objects(self._bucket, recursive=True, start_after=after or None):
            name, size, modified_at = found.object_name, found.size, found.last_modified
            if name is not None and name != CHECK_KEY and size is not None and modified_at is not None:
                yield StoredObject(name, size, modified_at)

    async def _call(self, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
        """In a thread. Raises `ObjectStoreUnavailable`, and `S3Error` for what the store knows nothing under."""

        def translated() -> Result:
            with _translated():
                return work(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._others, translated)


@asynccontextmanager
async def open_s3_object_store(url: str) -> AsyncIterator[S3ObjectStore]:
    """Raises `ConnectionFailed` where the URL names no bucket, or its server does not answer or let us in."""
    address = parse_s3_url(url)
    store = S3ObjectStore(_client(address), address.bucket)
    try:
        await store.open()
        yield store
    except ObjectStoreUnavailable as error:
        raise ConnectionFailed(
            f"The object store {address.endpoint}/{address.bucket} does not answer: {error.reason}. "
            "Check HOLDFAST_OBJECT_STORE_URL."
        ) from error
    finally:
        store.close()


def _client(address: S3Address) -> Minio:
    timeout = Timeout(connect=CONNECT_TIMEOUT.total_seconds(), read=READ_TIMEOUT.total_seconds())
    return Minio(
        address.endpoint,
        access_key=address.key or None,
        secret_key=address.secret or None,
        secure=address.secure,
        region=address.region,
        http_client=PoolManager(timeout=timeout, retries=RETRIES, maxsize=2 * THREADS),
        credentials=None if address.key else EnvAWSProvider(),
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in ABSENT | PAST_THE_END:
            raise
        raise ObjectStoreUnavailable(f"{error.code}: {error.message}") from error
    except FeedAborted:
        raise
    except (MinioException, HTTPError, OSError, ValueError) as error:
        raise ObjectStoreUnavailable(f"{type(error).__name__}: {error}") from error


def _close(response: BaseHTTPResponse) -> None:
    """Without reading what is left of it."""
    response.close()
    response.release_conn()
