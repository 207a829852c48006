"""A proxy to a TCP server that delays everything its clients send."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta


@asynccontextmanager
async def slow_proxy(port: int, delay: timedelta) -> AsyncIterator[int]:
    """Yields the proxy's port, which leads to the server on `port`."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            connections.add(task)
        from_server, to_server = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(_pass_on(from_client, to_server, delay), _pass_on(from_server, to_client, timedelta()))
        finally:
            to_server.close()
            to_client.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter, delay: timedelta) -> None:
    with suppress(ConnectionError):
        while content := await source.read(65536):
            if delay:
                await asyncio.sleep(delay.total_seconds())
            to.write(content)
    to.close()
