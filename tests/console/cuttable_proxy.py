"""A proxy to a TCP server whose line can be cut: connections drop, and new ones fail, until it is mended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class CuttableProxy:
    def __init__(self, port: int) -> None:
        self._port = port
        self._is_cut = False
        self._clients: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    def cut(self) -> None:
        self._is_cut = True
        self._drop()

    def mend(self) -> None:
        self._is_cut = False

    async def close(self) -> None:
        serving = [task for task in self._clients if task]
        self._drop()
        await asyncio.gather(*serving, return_exceptions=True)

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        if self._is_cut:
            to_client.transport.abort()
            return
        self._clients[asyncio.current_task()] = to_client
        server, to_server = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await asyncio.gather(_pass_on(client, to_server), _pass_on(server, to_client))
        finally:
            del self._clients[asyncio.current_task()]

    def _drop(self) -> None:
        for to_client in self._clients.values():
            to_client.transport.abort()


@asynccontextmanager
async def cuttable_proxy(port: int) -> AsyncIterator[tuple[CuttableProxy, str]]:
    """Yields it, and the URL that leads through it."""
    proxy = CuttableProxy(port)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as listening:
        try:
            yield proxy, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        finally:
            await proxy.close()


async def _pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while content := await source.read(65536):
            to.write(content)
    to.close()
