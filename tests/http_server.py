"""Serves a handler of the standard library on loopback, for scripted parts of the outside."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def serving(
    handler: type[BaseHTTPRequestHandler], has_daemon_threads: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve until the block ends, which waits for requests unless their threads are daemons. Yields the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = has_daemon_threads
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
