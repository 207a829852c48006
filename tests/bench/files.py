"""`make bench ARGS=files`: how fast files go up and down, and what they add to the server's memory.

Once with the folder, once with an S3 server on this machine.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import httpx
import psutil

from models.files import MEBIBYTE
from tests.cli.program import HOLDFAST, Place, Up
from tests.s3 import running_s3

CHUNK = bytes(range(256)) * 4096
MEGABYTES = 512
SAMPLE_SECONDS = 0.02
BOUNDARY = "bench"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nvision\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bench.bin"\r\n\r\n'
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


class Memory:
    """The most that the server's processes had at any one time, while the block ran."""

    def __init__(self, root: psutil.Process) -> None:
        self._processes = [root, *(each for each in root.children(recursive=True) if each.name() != "temporal")]
        self._is_over = Event()
        self._sampler = Thread(target=self._sample)
        self.at_first = self._now()
        self.most = self.at_first

    def __enter__(self) -> "Memory":
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._sampler.join()

    def _sample(self) -> None:
        while not self._is_over.wait(SAMPLE_SECONDS):
            self.most = max(self.most, self._now())

    def _now(self) -> int:
        return sum(each.memory_info().rss for each in self._processes)


def measure_files() -> None:
    for store in ("folder", "S3"):
        print(store)
        with TemporaryDirectory() as folder, ExitStack() as stack:
            environment: dict[str, str] = {}
            if store == "S3":
                bucket = Path(folder) / "s3"
                bucket.mkdir()
                environment["HOLDFAST_OBJECT_STORE_URL"] = stack.enter_context(running_s3(bucket)).url("bench")
            up = Up(Place.new(Path(folder)), (*HOLDFAST, "up"), **environment).ready()
            stack.callback(up.end)
            measure(up, MEGABYTES)


def measure(up: Up, megabytes: int) -> None:
    root = psutil.Process(up.process.pid)
    with httpx.Client(base_url=up.place.url, timeout=600) as http:
        upload(http, 1)
        with Memory(root) as memory:
            began = time.perf_counter()
            file_id = upload(http, megabytes)
            report("up", megabytes, began, memory)
        with Memory(root) as memory:
            began = time.perf_counter()
            received = download(http, file_id)
            report("down", megabytes, began, memory)
    assert received == megabytes * MEBIBYTE


def upload(http: httpx.Client, megabytes: int) -> str:
    def body() -> Iterator[bytes]:
        yield HEAD
        for _ in range(megabytes):
            yield CHUNK
        yield TAIL

    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    answer = http.post("/v1/files", content=body(), headers=headers)
    answer.raise_for_status()
    return str(answer.json()["id"])


def download(http: httpx.Client, file_id: str) -> int:
    with http.stream("GET", f"/v1/files/{file_id}/content") as answer:
        return sum(len(chunk) for chunk in answer.iter_raw())


def report(way: str, megabytes: int, began: float, memory: Memory) -> None:
    rate = megabytes / (time.perf_counter() - began)
    grown = (memory.most - memory.at_first) / MEBIBYTE
    print(
        f"{way:4} {megabytes} MiB: {rate:.0f} MiB/s, memory {memory.at_first / MEBIBYTE:.0f} MiB and {grown:.0f} more"
    )
