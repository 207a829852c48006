"""The names of Compose's network: a DNS server that knows one service and where its replicas are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import DNSHandler, DNSLogger, DNSServer


class Replicas:
    """Answers with `addresses`."""

    def __init__(self, service: str, addresses: Sequence[str]) -> None:
        self._service = service
        self._addresses = addresses

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        if request.q.qtype == QTYPE.A and str(request.q.qname) == f"{self._service}.":
            for address in self._addresses:
                reply.add_answer(RR(request.q.qname, QTYPE.A, ttl=0, rdata=A(address)))
        return reply


@contextmanager
def resolving(replicas: Replicas, port: int) -> Iterator[None]:
    """Answer on loopback until the block ends."""
    server = DNSServer(replicas, "127.0.0.1", port, logger=DNSLogger(logf=lambda _: None))
    server.start_thread()
    try:
        yield
    finally:
        server.stop()
        server.server.server_close()
