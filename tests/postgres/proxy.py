"""A proxy before Postgres that loses the response to a commit, as in a network failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT\0"


class LosingProxy:
    """Passes everything on until `lose_commit`: then the next commit reaches the server, its answer not the client."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._is_armed = False
        self._clients: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self.lost_commits = 0

    def lose_commit(self) -> None:
        self._is_armed = True

    async def close(self) -> None:
        """Drop every connection."""
        for to_client in self._clients.values():
            to_client.close()
        await asyncio.gather(*(task for task in self._clients if task), return_exceptions=True)

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._clients[asyncio.current_task()] = to_client
        try:
            await self._serve(client, to_client)
        finally:
            del self._clients[asyncio.current_task()]

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_unix_connection(self._server)
        except OSError:
            # The server is down: so is the way to it.
            to_client.close()
            return
        passing = asyncio.create_task(_pass_on(server, to_client))
        while content := await _read(client):
            if self._is_armed and COMMIT in content:
                self._is_armed = False
                passing.cancel()
                await asyncio.wait([passing])
                to_server.write(content)
                # Its answer: the server has committed.
                await server.read(1)
                self.lost_commits += 1
                break
            to_server.write(content)
        to_server.close()
        to_client.close()
        passing.cancel()


@asynccontextmanager
async def losing_proxy(url: str, folder: Path) -> AsyncIterator[tuple[LosingProxy, str]]:
    """A proxy to the database at `url`, with its socket in `folder`. Yields it and the URL that leads through it."""
    beside, _, server_folder = url.partition("?host=")
    proxy = LosingProxy(Path(server_folder) / SOCKET)
    async with await asyncio.start_unix_server(proxy.serve, folder / SOCKET):
        try:
            yield proxy, f"{beside}?host={folder}"
        finally:
            await proxy.close()


async def _pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while content := await _read(source):
        to.write(content)
    to.close()


async def _read(source: asyncio.StreamReader) -> bytes:
    """Empty where the other side is gone, however it went."""
    try:
        return await source.read(65536)
    except ConnectionError:
        return b""
