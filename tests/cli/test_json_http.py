"""Requests of the operator's commands, to a server of the standard library."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from cli.json_http import JsonHttp, Unreachable
from cli.ops_client import ApiUnusable, OpsClient
from tests.http_server import serving


class Echo(BaseHTTPRequestHandler):
    """Answers with what was asked; at `/moved` with a redirect, at `/ops/…` as no Holdfast does."""

    def do_GET(self) -> None:
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        content = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        asked = [self.command, self.path, self.headers.get("Authorization"), content]
        self.wfile.write(json.dumps({"object": "list", "asked": asked}).encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    with serving(Echo) as port:
        yield f"127.0.0.1:{port}"


def test_a_request_has_query_body_and_key(address: str) -> None:
    http = JsonHttp(f"http://{address}", {"Authorization": "Bearer sk"}, 5)

    asked = json.loads(http.ask("GET", "/runs", {"after": "ä/&"}, None)[1])["asked"]
    sent = json.loads(http.ask("POST", "/runs", {}, {"by": "ä"})[1])["asked"]

    assert asked == ["GET", "/runs?after=%C3%A4%2F%26", "Bearer sk", ""]
    assert (sent[:3], json.loads(sent[3])) == (["POST", "/runs", "Bearer sk"], {"by": "ä"})


def test_a_redirect_is_not_followed(address: str) -> None:
    status, _ = JsonHttp(f"http://{address}", {"Authorization": "Bearer sk"}, 5).ask("GET", "/moved", {}, None)

    assert status == 302


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://{}", r"\[SSL: "),
        ("ftp://{}", "neither http:// nor https://"),
        ("file:///etc/passwd", "neither http:// nor https://"),
        ("nonsense", "unknown url type"),
        ("http://127.0.0.1:port", "nonnumeric port"),
    ],
)
def test_what_cannot_be_asked_says_why(address: str, url: str, reason: str) -> None:
    with pytest.raises(Unreachable, match=reason):
        JsonHttp(url.format(address), {}, 5).ask("GET", "/runs", {}, None)


def test_an_answer_without_a_field_is_of_another_version(address: str) -> None:
    with pytest.raises(ApiUnusable, match="no Holdfast of this version: its answer has no 'temporal_url'"):
        _ = OpsClient(f"http://{address}", None).timeline("run_a").temporal_url


def test_line_end_after_the_key_is_no_part_of_it(address: str) -> None:
    client = OpsClient(f"http://{address}", "sk-secret\n")

    assert vars(client.timeline("run_a"))["asked"][2] == "Bearer sk-secret"


@pytest.mark.parametrize("key", ["sk-secret\nX: 1", "sk-secret…"])
def test_key_that_no_header_can_have_is_not_reported(address: str, key: str) -> None:
    with pytest.raises(ApiUnusable, match="The API key has characters that no header can have") as refused:
        OpsClient(f"http://{address}", key).timeline("run_a")

    assert "sk-secret" not in str(refused.value)
