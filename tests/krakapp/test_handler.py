"""The handler answers in a thread what a synchronous Django says, and forgets what broke off."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.core.signals import request_finished, request_started
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path
from django.utils import timezone

from krakapp.handler import ThreadHandler

seen: list[Any] = []


def echo(request: HttpRequest) -> HttpResponse:
    seen.append(threading.current_thread())
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(request.body, status=201, headers={"X-Length": len(request.body)})


def drops(_: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[bytes]:
        for number in range(3):
            seen.append(threading.current_thread())
            yield b"%d" % number

    return StreamingHttpResponse(parts())


def far_away(_: HttpRequest) -> HttpResponse:
    seen.append(timezone.get_current_timezone_name())
    timezone.activate("Asia/Tokyo")
    return HttpResponse()


def fails(_: HttpRequest) -> HttpResponse:
    raise ValueError("on purpose")


urlpatterns = [
    path("echo", echo),
    path("drops", drops),
    path("far", far_away),
    path("fails", fails),
]


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadHandler]:
    seen.clear()
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)  # as with a pool
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        yield ThreadHandler()


def ask(
    handler: ThreadHandler,
    where: str,
    *incoming: dict[str, Any] | None,
    headers: list[tuple[bytes, bytes]] | None = None,
    query: bytes = b"",
) -> list[dict[str, Any]]:
    """Ask with the messages that come in; None never comes."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": where,
        "query_string": query,
        "headers": [(b"host", b"testserver"), *(headers or [])],
    }
    waiting, sent = list(incoming), []

    async def receive() -> dict[str, Any]:
        message = waiting.pop(0)
        if message is None:
            await asyncio.Event().wait()
        return message

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(handler(scope, receive, send))
    return sent


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def problem_in(sent: list[dict[str, Any]]) -> tuple[int, str]:
    assert (b"Content-Type", b"application/problem+json") in sent[0]["headers"]
    told = json.loads(body_of(sent))
    assert told["status"] == sent[0]["status"]
    return told["status"], told["code"]


def body_of(sent: list[dict[str, Any]]) -> bytes:
    return b"".join(message.get("body", b"") for message in sent[1:])


@pytest.mark.django_db(transaction=True)
class TestThreadHandler:
    def test_answers_the_whole_body(self, handler: ThreadHandler) -> None:
        sent = ask(handler, "/echo", part(b"a" * 70_000, more=True), part(b"b"))

        assert sent[0]["status"] == 201
        assert (b"X-Length", b"70001") in sent[0]["headers"]
        assert body_of(sent) == b"a" * 70_000 + b"b"
        assert not sent[-1].get("more_body")
        assert seen[0] is not threading.current_thread()

    def test_a_request_that_broke_off_is_not_answered(self, handler: ThreadHandler) -> None:
        sent = ask(handler, "/echo", part(b"amount=25", more=True), {"type": "http.disconnect"})

        assert sent == []
        assert seen == []

    def test_a_body_that_declares_too_much_is_refused_unread(self, handler: ThreadHandler) -> None:
        sent = ask(handler, "/api/echo", headers=[(b"content-length", b"20000000000")])

        assert problem_in(sent) == (413, "BodyTooLarge")
        assert (b"Connection", b"close") in sent[0]["headers"]
        assert seen == []

    def test_a_body_is_refused_as_soon_as_it_is_too_large(
        self, handler: ThreadHandler, settings: Any
    ) -> None:
        settings.MAX_BODY_BYTES = 9
        sent = ask(handler, "/api/echo", part(b"12345", more=True), part(b"67890", more=True))

        assert problem_in(sent) == (413, "BodyTooLarge")
        assert seen == []

    def test_an_upload_has_a_bound_of_its_own(self, handler: ThreadHandler, settings: Any) -> None:
        settings.MAX_BODY_BYTES, settings.UPLOADS = 9, {"/echo": 10}

        assert ask(handler, "/echo", part(b"1234567890"))[0]["status"] == 201
        assert ask(handler, "/echo", part(b"12345678901"))[0]["status"] == 413

    def test_a_body_that_does_not_arrive_is_refused(
        self, handler: ThreadHandler, settings: Any
    ) -> None:
        settings.BODY_S = 0.1
        sent = ask(handler, "/api/echo", part(b"amount", more=True), None)

        assert problem_in(sent) == (408, "RequestTimeout")
        assert seen == []

    @pytest.mark.parametrize("path", ["/api/echo", "/echo"])
    def test_an_address_that_is_no_text_is_refused(self, handler: ThreadHandler, path: str) -> None:
        sent = ask(handler, path, part(b""), query=b"name=\xff")

        assert sent[0]["status"] == 400
        assert b"malformed" in body_of(sent)
        assert seen == []

    def test_what_fails_outside_a_view_is_a_problem_too(self, handler: ThreadHandler) -> None:
        def fail(**_: Any) -> None:
            raise ZeroDivisionError

        request_started.connect(fail)
        try:
            sent = ask(handler, "/api/echo", part(b""))
        finally:
            request_started.disconnect(fail)

        assert problem_in(sent) == (500, "ServerError")

    def test_a_stream_is_read_in_the_thread_of_its_view(self, handler: ThreadHandler) -> None:
        sent = ask(handler, "/drops", part(b""))

        assert body_of(sent) == b"012"
        assert len(set(seen)) == 1
        assert seen[0] is not threading.current_thread()

    def test_what_a_request_sets_ends_with_it(self, handler: ThreadHandler) -> None:
        with patch("krakapp.handler.THREADS", 1):
            handler = ThreadHandler()
        for _ in range(2):
            ask(handler, "/far", part(b""))

        assert seen[0] == seen[1] != "Asia/Tokyo"

    def test_an_error_of_a_view_is_a_500(self, handler: ThreadHandler) -> None:
        sent = ask(handler, "/fails", part(b""))

        assert sent[0]["status"] == 500

    def test_the_end_is_told_where_the_connection_is(self, handler: ThreadHandler) -> None:
        def note(**_: Any) -> None:
            seen.append(threading.current_thread())

        request_finished.connect(note)
        try:
            ask(handler, "/echo", part(b""))
        finally:
            request_finished.disconnect(note)

        assert seen[0] is seen[1]  # Django closes old connections at this signal
