"""HTTP as a synchronous Django likes it: a request stays in one thread, from its start to its end.

Django's own handler crosses between the loop and a thread made for the request: for each signal,
for the middleware, for the view, for the end. That costs more than the request itself does
(docs/decisions/0010). What it reads, builds and sends is what Django's handler would.
"""

import asyncio
import contextvars
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Any

import django
from django.conf import settings
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse, HttpResponse
from django.urls import set_script_prefix

from common import patience
from krakapp.problems import APART, WORDS, for_programs, say

logger = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

THREADS = 16  # twice the Procfile's DATABASE_POOL_SIZE: not everything asks the database
BUSY = "Too much waits here already; nothing was done. Ask again in a moment."


class Refused(Exception):
    """A request that nobody works for."""

    def __init__(self, status: int, detail: str) -> None:
        """Take the status and the words of the answer."""
        super().__init__(detail)
        self.status, self.detail = status, detail

    def answer(self, path: str) -> HttpResponse:
        """Say so, and that the connection ends: what is left of the body is not read."""
        if for_programs(path):
            response = say(self.status, request_id=str(uuid.uuid4()), detail=self.detail)
        else:
            words = self.detail or WORDS[self.status][1]
            response = HttpResponse(words, status=self.status, content_type="text/plain")
        response["Connection"] = "close"
        if self.status == 503:
            response["Retry-After"] = "1"
        return response


class ThreadHandler(ASGIHandler):
    """Django's handler for ASGI, with threads that are there already."""

    def __init__(self) -> None:
        """Load the middleware, and make the threads as they are needed."""
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._apart = ThreadPoolExecutor(len(APART), thread_name_prefix="apart")
        self._taken = 0  # threads, and places in the queue for them

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002
        """Load it as for WSGI: a chain of plain calls."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Read the whole request here, answer it in a thread, and send the answer from here.

        A request that broke off is not answered: a part of a form is not what somebody meant.
        One that is too large or too slow is refused before anybody works for it.
        """
        try:
            body = await self._read(scope, receive)
        except RequestAborted:
            return
        except Refused as refused:
            response = refused.answer(scope["path"])
            await self.send_response(response, send)
            return
        with body:
            response = await self._in_a_thread(scope, body)
        await self.send_response(response, send)

    async def _in_a_thread(self, scope: dict[str, Any], body: IO[bytes]) -> Any:
        """Answer in a thread, unless too many requests wait for one already.

        What tells how the platform is has threads of its own: it answers whatever hangs.
        """
        loop, path = asyncio.get_running_loop(), scope["path"]
        if path in APART:
            return await loop.run_in_executor(
                self._apart, contextvars.copy_context().run, self._answer, scope, body
            )
        if self._taken >= THREADS + settings.QUEUE:
            return Refused(503, BUSY).answer(path)
        self._taken += 1
        try:
            return await loop.run_in_executor(
                self._threads,
                contextvars.copy_context().run,
                self._answer_in_time,
                time.monotonic(),
                scope,
                body,
            )
        finally:
            self._taken -= 1

    def _answer_in_time(self, since: float, scope: dict[str, Any], body: IO[bytes]) -> Any:
        """Answer with the patience that is left after the wait for this thread."""
        path: str = scope["path"]
        waits = (seconds for start, seconds in settings.WAITS.items() if path.startswith(start))
        seconds = next(waits, settings.WAIT_S) - (time.monotonic() - since)
        if seconds <= 0:
            return Refused(503, BUSY).answer(path)
        with patience.within(seconds):
            return self._answer(scope, body)

    def _answer(self, scope: dict[str, Any], body: IO[bytes]) -> Any:
        """Answer, whatever fails: what rises here is outside the views and their middleware."""
        try:
            return self._answer_of_django(scope, body)
        except Exception:
            logger.exception("a request failed outside its view: %s", scope["path"])
            return Refused(500, "").answer(scope["path"])

    async def _read(self, scope: Mapping[str, Any], receive: Receive) -> IO[bytes]:
        """Read a body within its bounds of size and time.

        :raises Refused: where it declares or brings more, or takes longer
        :raises RequestAborted: where it breaks off
        """
        limit = settings.UPLOADS.get(scope["path"])
        seconds = settings.BODY_S if limit is None else settings.UPLOAD_S
        limit = settings.MAX_BODY_BYTES if limit is None else limit
        _hold_to(limit, _declared(scope))
        with ExitStack() as unless_read:
            body = unless_read.enter_context(
                SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE)
            )
            try:
                async with asyncio.timeout(seconds):
                    await _fill(body, receive, limit)
            except TimeoutError as error:
                raise Refused(408, f"Send the whole body within {seconds} seconds.") from error
            unless_read.pop_all()
            return body

    def _answer_of_django(self, scope: dict[str, Any], body: IO[bytes]) -> Any:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        read: tuple[Any, Any] = self.create_request(scope, body)
        request, response = read  # none, and what is wrong with it
        if request is None:
            response = Refused(response.status_code, "").answer(scope["path"])
        else:
            response = self.get_response(request)
            response._handler_class = self.__class__  # type: ignore[attr-defined]  # noqa: SLF001
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if response.streaming:
            response.streaming_content = _again(list(response))
        response.close()  # says that the request is over: the thread's connections go back
        return response


def _declared(scope: Mapping[str, Any]) -> int:
    """Read how many bytes a request says it brings; the server has checked the number."""
    lengths = (int(value) for name, value in scope["headers"] if name == b"content-length")
    return max(lengths, default=0)


def _hold_to(limit: int, size: int) -> None:
    if size > limit:
        raise Refused(413, f"A body has at most {limit} bytes here.")


async def _fill(body: IO[bytes], receive: Receive, limit: int) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestAborted
        part = message.get("body", b"")
        size += len(part)
        _hold_to(limit, size)
        body.write(part)
        more = message.get("more_body", False)
    body.seek(0)


async def _again(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def get_application() -> ThreadHandler:
    """Set Django up and give its handler, as `django.core.asgi` does."""
    django.setup(set_prefix=False)
    return ThreadHandler()
