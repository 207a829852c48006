"""A site on loopback with 50 linked pages, bad HTML among them, and traps for programs that follow links."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from threading import Event
from urllib.parse import parse_qs, urlsplit

from tests.http_server import serving

PAGES = 50
BAD = {
    7: "<p>Never closed <div><table><tr><td>Page 7 says so<a href='/page/8'>next",
    8: "<html><body><p>Page 8</b></i></div></p></body></html></html>",
    9: "<p>Page 9" + "<span>" * 3000,
}
TRAPS = ("/calendar", "/maze/1", "/endless", "/private/a", "/away", "/gone", "/page/1#a", "/page/1")
ROBOTS = "User-agent: *\nDisallow: /private/\n"
SEARCHED = "Employees of Fernhill get twenty-five days of paid vacation each year."


class WebSite:
    """`visits` are the paths that were asked for. Pages below `/slow/`, but for the first `waits_after`, wait while
    `may_answer` is not set.
    """

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"
        self.robots = ROBOTS
        self.type_of_robots = "text/plain"
        self.encoding_of_robots = ""
        self.visits: list[str] = []
        self.waits_after = 0
        self.may_answer = Event()
        self.may_answer.set()

    def pages(self, below: str) -> list[str]:
        return [path for path in self.visits if path.startswith(below)]

    def page(self, path: str) -> tuple[int, str, str]:
        """Status, media type and content."""
        parts = urlsplit(path)
        first, _, rest = parts.path.strip("/").partition("/")
        match first:
            case "robots.txt":
                return (200, self.type_of_robots, self.robots) if self.robots else (404, "text/html", "")
            case "":
                return _html("Fernhill", _links(f"/page/{number}" for number in range(1, PAGES)))
            case "page":
                return _html(f"Page {rest}", BAD.get(int(rest), _text(int(rest))))
            case "private":
                return _html("Private", "Nobody may read this.")
            case "calendar":
                month = int(parse_qs(parts.query).get("month", ["0"])[0])
                return _html(f"Month {month}", _links((f"?month={month + 1}", f"?month={month - 1}")))
            case "maze":
                return _html("Maze", _links((f"/maze/{rest}/{len(rest)}", f"/maze/{rest}/x")))
            case "slow":
                if len(self.pages("/slow")) > self.waits_after:
                    self.may_answer.wait()
                return _html("Slow", f"Slow page {rest}. {_links([f'/slow/{int(rest) + 1}'])}")
            case "empty":
                return 200, "text/html", "<html><body></body></html>"
            case "long":
                return _html("Long", " ".join(f"Sentence number {number} says nothing new." for number in range(900)))
            case "traps":
                return _html("Traps", _links(TRAPS))
        return 404, "text/html", "Gone"


def _html(title: str, body: str) -> tuple[int, str, str]:
    head = f"<html><head><title>{title}</title></head>"
    return 200, "text/html; charset=utf-8", f"{head}<body><p>{body}</p></body></html>"


def _links(links: Iterable[str]) -> str:
    return " ".join(f"<a href='{link}'>{link}</a>" for link in links)


def _text(number: int) -> str:
    return f"{SEARCHED if number == 3 else f'Page {number} is about the subject {number}.'} <a href='/'>Home</a>"


class _Handler(BaseHTTPRequestHandler):
    site: WebSite

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        self.site.visits.append(self.path)
        if self.path == "/endless":
            self._without_end()
        elif self.path == "/away":
            self._answer(302, "text/html", "", location="http://localhost:1/")
        elif self.path == "/robots.txt":
            self._answer(*self.site.page(self.path), content_encoding=self.site.encoding_of_robots)
        else:
            self._answer(*self.site.page(self.path))

    def _answer(self, status: int, media_type: str, body: str, **more: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(content)))
        for name, value in more.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def _without_end(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        for _ in range(400):
            # Little text: to embed a whole page of it takes 10 s of CPU.
            self.wfile.write(b"<p>And so on.<!--" + b" and so on" * 1400 + b"-->")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a failed test shows the visits."""


@contextmanager
def running_web_site() -> Iterator[WebSite]:
    handler = type("Handler", (_Handler,), {})
    with serving(handler, has_daemon_threads=True) as port:
        handler.site = site = WebSite(port)  # type: ignore[attr-defined]
        try:
            yield site
        finally:
            site.may_answer.set()
