"""Puts load on a running Holdfast and measures what it costs."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx
import psutil
from openai import AsyncOpenAI

WARM_UP_RUNS = 20


@dataclass(frozen=True)
class Measured:
    """Seconds for each operation, the rate at which they were done, and the servers' CPU for each by process."""

    seconds: list[float]
    per_second: float
    cpu_ms: dict[str, float]

    def percentile_ms(self, percent: int) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] * 1000

    def row(self, name: str) -> str:
        cpu = ", ".join(f"{process} {ms:.1f}" for process, ms in self.cpu_ms.items())
        return (
            f"{name:<44} {self.percentile_ms(50):>8.0f} {self.percentile_ms(95):>8.0f} {self.percentile_ms(100):>8.0f} "
            f"{self.per_second:>9.1f}   {cpu}"
        )


HEADER = f"{'':<44} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8} {'per s':>9}   CPU ms each"


def client_of(url: str, connections: int) -> AsyncOpenAI:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    http = httpx.AsyncClient(limits=limits, timeout=60)
    return AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, http_client=http)


async def measure(
    operation: Callable[[], Awaitable[None]], count: int, concurrent: int, servers: dict[str, psutil.Process]
) -> Measured:
    """Do `operation` `count` times, up to `concurrent` at once, after a warm-up."""
    await _repeat(operation, WARM_UP_RUNS, concurrent)
    cpu_before = {name: cpu_seconds(server) for name, server in servers.items()}
    began = time.perf_counter()
    seconds = await _repeat(operation, count, concurrent)
    elapsed = time.perf_counter() - began
    cpu_ms = {name: (cpu_seconds(server) - cpu_before[name]) / count * 1000 for name, server in servers.items()}
    return Measured(seconds, count / elapsed, cpu_ms)


async def _repeat(operation: Callable[[], Awaitable[None]], count: int, concurrent: int) -> list[float]:
    room = asyncio.Semaphore(concurrent)

    async def one() -> float:
        async with room:
            began = time.perf_counter()
            await operation()
            return time.perf_counter() - began

    return await asyncio.gather(*(one() for _ in range(count)))


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
