"""uvicorn as a part of the program, which alone says when it stops."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


class HttpServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Signals stop the whole program: cli/lifetime.py.
        yield
