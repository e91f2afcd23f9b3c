"""HTTP as a synchronous Django likes it: a request stays in one thread, from its start to its end.

Django's own handler crosses between the loop and a thread made for the request: for each signal,
for the middleware, for the view, for the end. That costs more than the request itself does
(docs/decisions/0010). What it reads, builds and sends is what Django's handler would.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any

import django
from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.http import FileResponse
from django.urls import set_script_prefix

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

THREADS = 16  # twice the Procfile's DATABASE_POOL_SIZE: not everything asks the database


class ThreadHandler(ASGIHandler):
    """Django's handler for ASGI, with threads that are there already."""

    def __init__(self) -> None:
        """Load the middleware, and make the threads as they are needed."""
        super().__init__()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001, FBT002
        """Load it as for WSGI: a chain of plain calls."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Read the whole request here, answer it in a thread, and send the answer from here.

        A request that broke off is not answered: a part of a form is not what somebody meant.
        """
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with body:
            response = await asyncio.get_running_loop().run_in_executor(
                self._threads, contextvars.copy_context().run, self._answer, scope, body
            )
        await self.send_response(response, send)

    def _answer(self, scope: dict[str, Any], body: IO[bytes]) -> Any:
        set_script_prefix(get_script_prefix(scope))
        signals.request_started.send(sender=self.__class__, scope=scope)
        read: tuple[Any, Any] = self.create_request(scope, body)
        request, response = read  # none, and what is wrong with it
        if request is not None:
            response = self.get_response(request)
            response._handler_class = self.__class__  # type: ignore[attr-defined]  # noqa: SLF001
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if response.streaming:
            response.streaming_content = _again(list(response))
        response.close()  # says that the request is over: the thread's connections go back
        return response


async def _again(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def get_application() -> ThreadHandler:
    """Set Django up and give its handler, as `django.core.asgi` does."""
    django.setup(set_prefix=False)
    return ThreadHandler()
