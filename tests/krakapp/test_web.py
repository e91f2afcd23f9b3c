"""The web server ends what never ends, and refuses what is too large, on real connections."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from django.conf import settings

from krakapp import web
from krakapp.proxies import BehindProxies

PATIENCE_S = 60
HEAD = b"GET / HTTP/1.1\r\nHost: testserver\r\n"


async def hello(scope, receive, send):
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": (scope["client"][0] + "     ")[:5].encode()})


@contextmanager
def serving(application=hello, **options):
    """Run an application with the options of the platform; give a way to connect to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, lifespan="off", log_level="critical", **(web.options() | options)
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield lambda: socket.create_connection(listener.getsockname(), timeout=PATIENCE_S)
    finally:
        server.should_exit = True
        thread.join(timeout=PATIENCE_S)
        listener.close()


def read(line):
    """Read all that the server says until it ends the connection."""
    said = b""
    with suppress(ConnectionResetError):
        while part := line.recv(65_536):
            said += part
    return said


def problem_in(said):
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    told = json.loads(body)
    assert told["status"] == int(head.split()[1])
    return told["status"], told["code"]


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(web, "HEAD_S", 0.3)


@pytest.mark.usefixtures("impatient")
class TestHalfOpenConnections:
    @pytest.mark.parametrize(
        "begun",
        [
            pytest.param(b"", id="that say nothing"),
            pytest.param(b"\r\n", id="that say an empty line"),
            pytest.param(b"GE", id="that begin a method"),
            pytest.param(HEAD + b"X-Slow: ", id="that stop in a header"),
        ],
    )
    def test_are_closed_in_time(self, begun):
        with serving() as connect, connect() as line:
            line.sendall(begun)
            assert problem_in(read(line)) == (408, "RequestTimeout")

    def test_are_closed_after_an_answer_too(self):
        with serving(timeout_keep_alive=PATIENCE_S) as connect, connect() as line:
            line.sendall(HEAD + b"\r\n")
            assert line.recv(65_536).startswith(b"HTTP/1.1 200")
            line.sendall(b"\r\n")  # ends uvicorn's wait for the next request
            assert problem_in(read(line)) == (408, "RequestTimeout")


class TestHeads:
    @pytest.mark.parametrize(
        ("head", "refusal"),
        [
            pytest.param(
                b"GET /?" + b"a" * web.MAX_URL_BYTES + b" HTTP/1.1\r\n\r\n",
                (414, "UriTooLong"),
                id="a long address",
            ),
            pytest.param(
                HEAD + b"X-A: b\r\n" * web.MAX_HEADERS + b"\r\n",
                (431, "HeadersTooLarge"),
                id="many headers",
            ),
            pytest.param(
                HEAD + b"X-A: " + b"b" * web.MAX_HEAD_BYTES + b"\r\n\r\n",
                (431, "HeadersTooLarge"),
                id="a large header",
            ),
            pytest.param(
                HEAD + b"X-A: " + b"b" * web.MAX_HEAD_BYTES * 2,
                (431, "HeadersTooLarge"),
                id="a header without an end",
            ),
            pytest.param(b"HELO\r\n\r\n", (400, "MalformedRequest"), id="no HTTP"),
        ],
    )
    def test_beyond_their_bounds_are_refused_as_a_problem(self, head, refusal):
        with serving() as connect, connect() as line:
            line.sendall(head)
            assert problem_in(read(line)) == refusal

    def test_at_their_bounds_are_answered(self):
        head = b"GET /" + b"a" * (web.MAX_URL_BYTES - 1) + b" HTTP/1.1\r\nConnection: close\r\n"
        with serving() as connect, connect() as line:
            line.sendall(head + b"X-A: b\r\n" * (web.MAX_HEADERS - 1) + b"\r\n")
            assert read(line).startswith(b"HTTP/1.1 200")


class TestAnswersThatNobodyReads:
    def test_end_the_connection(self, monkeypatch):
        monkeypatch.setattr(web, "WRITE_S", 0.3)
        ended = threading.Event()

        async def large(scope, receive, send):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            part = {"type": "http.response.body", "body": b"a" * 65_536, "more_body": True}
            for _ in range(1000):
                await send(part)  # waits while the connection is full, and no longer once it ended
            ended.set()

        with serving(large) as connect, connect() as line:
            line.sendall(HEAD + b"\r\n")
            assert ended.wait(PATIENCE_S)


class TestTheClientsAddress:
    @pytest.mark.parametrize(
        ("trusted", "address"),
        [
            pytest.param([], b"127.0", id="is the connection's by default"),
            pytest.param(["127.0.0.1"], b"192.0", id="is what a trusted proxy says"),
            pytest.param(["10.0.0.0/8"], b"127.0", id="is not what anybody else says"),
        ],
    )
    def test(self, trusted, address):
        with serving(BehindProxies(hello, trusted)) as connect, connect() as line:
            line.sendall(HEAD + b"X-Forwarded-For: 192.0.2.7\r\nConnection: close\r\n\r\n")
            assert read(line).endswith(address)


class TestTheApplication:
    def test_can_be_imported_as_the_web_server_does(self):
        """Nothing of Django's apps may be imported before they are set up."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "import krakapp.asgi"],
            cwd=settings.BASE_DIR,
            env={k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
