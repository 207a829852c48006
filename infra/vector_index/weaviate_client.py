"""The connection to Weaviate, with time limits of our own: the client's retries wait for a minute and more."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import httpx
from weaviate import WeaviateAsyncClient
from weaviate.classes.init import AdditionalConfig, Auth, Timeout
from weaviate.config import ConnectionConfig, GrpcConfig
from weaviate.connect import ConnectionParams
from weaviate.exceptions import WeaviateBaseError

from infra.vector_index.errors import VectorIndexUnavailable
from infra.vector_index.weaviate_url import WeaviateAddress

CONNECT_TIMEOUT = timedelta(seconds=10)
# Of each call to it; the client repeats what a server that is away does not answer.
SEARCH_TIMEOUT = timedelta(seconds=5)
WRITE_TIMEOUT = timedelta(seconds=30)
# Otherwise it would be up to two minutes before a server that was away is tried again.
RECONNECT = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 1000)]


@asynccontextmanager
async def open_client(address: WeaviateAddress) -> AsyncIterator[WeaviateAsyncClient]:
    """Raises `VectorIndexUnavailable`."""
    secure = address.secure
    client = WeaviateAsyncClient(
        ConnectionParams.from_params(address.host, address.port, secure, address.host, address.grpc_port, secure),
        auth_client_secret=Auth.api_key(address.key) if address.key else None,
        additional_config=AdditionalConfig(
            timeout=Timeout(query=SEARCH_TIMEOUT.seconds, insert=WRITE_TIMEOUT.seconds, init=CONNECT_TIMEOUT.seconds),
            connection=ConnectionConfig(session_pool_max_retries=0),
            grpc_config=GrpcConfig(channel_options=RECONNECT),
        ),
        # They ask PyPI for the client's newest version.
        skip_init_checks=True,
    )
    try:
        async with in_time(CONNECT_TIMEOUT):
            await client.connect()
            await check_queries(address)
        yield client
    finally:
        await client.close()


async def check_queries(address: WeaviateAddress) -> None:
    """Return if the port of queries takes connections. Raises what `in_time` translates."""
    async with query_channel(address) as channel:
        await channel.channel_ready()


def query_channel(address: WeaviateAddress, options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Channel:
    """To the port of queries; it connects when it is used."""
    target = f"{address.host}:{address.grpc_port}"
    # As the client names it: proxies that choose by host may not expect a port there.
    options = [("grpc.default_authority", address.host), *options]
    if address.secure:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=options)
    return grpc.aio.insecure_channel(target, options=options)


@asynccontextmanager
async def in_time(limit: timedelta) -> AsyncIterator[None]:
    """Cancel the block after `limit`. Raises `VectorIndexUnavailable` in place of all that the client raises."""
    try:
        async with asyncio.timeout(limit.total_seconds()):
            yield
    except TimeoutError as error:
        raise VectorIndexUnavailable(f"Weaviate does not answer within {limit.total_seconds():g} s.") from error
    except grpc.aio.AioRpcError as error:
        raise VectorIndexUnavailable(f"Weaviate cannot be used: {error.details()}.") from error
    except (WeaviateBaseError, grpc.RpcError, httpx.HTTPError, OSError) as error:
        raise VectorIndexUnavailable(f"Weaviate cannot be used: {error}.") from error
