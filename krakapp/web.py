"""The web server: uvicorn, with what it leaves open bounded.

uvicorn waits for the end of a request's head for ever, takes a head of any size, and writes to a
client that reads nothing for ever. Each of these costs the client nothing and us a connection.
"""

import asyncio
import json
import os
from typing import Any

import uvicorn
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from common.errors import PROBLEM, problem

HEAD_S = 10.0  # for a whole head: request line and headers
WRITE_S = 30.0  # for a client to read what fills its connection
KEEP_ALIVE_S = 5
MAX_URL_BYTES = 8_192
MAX_HEADERS = 100
MAX_HEAD_BYTES = 32_768
MAX_FRAME_BYTES = 65_536  # of a socket, and of a message in several frames

Refusal = tuple[int, str, str]

MALFORMED: Refusal = (400, "MalformedRequest", "This is not a request of HTTP/1.1.")
SLOW_HEAD: Refusal = (408, "RequestTimeout", f"Send the whole head within {HEAD_S:.0f} seconds.")
LONG_URL: Refusal = (414, "UriTooLong", f"An address has at most {MAX_URL_BYTES} bytes.")
LARGE_HEAD: Refusal = (
    431,
    "HeadersTooLarge",
    f"A request has at most {MAX_HEADERS} headers of {MAX_HEAD_BYTES} bytes together.",
)


class Connection(HttpToolsProtocol):
    """A connection with a head bounded in time and size, ended where nobody reads it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what uvicorn gives."""
        super().__init__(*args, **kwargs)
        self._refusal = MALFORMED
        self._in_head = True
        self._head_bytes = 0
        self._headers_end: asyncio.TimerHandle | None = None
        self._writing_ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head from now on."""
        super().connection_made(transport)
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_head()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and end a head that grows beyond its bound before it is complete."""
        if not self._in_head and not self._is_answering():
            self._begin_head()  # an empty line begins no message, but ends the keep-alive timer
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self._refusal = LARGE_HEAD
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Wait for the rest of this head."""
        super().on_message_begin()
        if not self._in_head:
            self._begin_head()

    def on_url(self, url: bytes) -> None:
        """Take the address, up to its bound."""
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            self._refusal = LONG_URL
            raise ValueError(LONG_URL)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, up to the bounds of their number and size."""
        super().on_header(name, value)
        size = sum(len(name) + len(value) for name, value in self.headers)
        if len(self.headers) > MAX_HEADERS or size > MAX_HEAD_BYTES:
            self._refusal = LARGE_HEAD
            raise ValueError(LARGE_HEAD)

    def on_headers_complete(self) -> None:
        """Wait for the head no longer; the handler bounds the body."""
        self._end_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Say why this connection is closed, as a problem and not as uvicorn's bare line."""
        status, code, detail = self._refusal
        body = json.dumps(problem(status=status, code=code, detail=detail)).encode()
        head = (
            f"content-type: {PROBLEM}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()

    def pause_writing(self) -> None:
        """Give the client a while to read."""
        super().pause_writing()
        self._writing_ends = self.loop.call_later(WRITE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it has read."""
        if self._writing_ends is not None:
            self._writing_ends.cancel()
            self._writing_ends = None
        super().resume_writing()

    def _begin_head(self) -> None:
        self._end_head()
        self._in_head, self._head_bytes = True, 0
        self._headers_end = self.loop.call_later(HEAD_S, self._lose_patience)

    def _end_head(self) -> None:
        self._in_head = False
        if self._headers_end is not None:
            self._headers_end.cancel()
            self._headers_end = None

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's own type leaves the None out
        return bool(cycle and not cycle.response_complete)

    def _lose_patience(self) -> None:
        """Close a connection whose head never ends, once the answer before it is out."""
        if self._is_answering():
            self._begin_head()
        elif not self.transport.is_closing():
            self._refusal = SLOW_HEAD
            self.send_400_response("")


def options() -> dict[str, Any]:
    """Give uvicorn's options, as the Procfile's web process and the tests use them."""
    return {
        "http": "krakapp.web:Connection",
        "timeout_keep_alive": KEEP_ALIVE_S,
        "ws_max_size": MAX_FRAME_BYTES,
        "ws_per_message_deflate": False,
        "proxy_headers": False,  # `krakapp.proxies` reads them, Forwarded too
    }


def main() -> None:
    """Serve the platform until a signal ends it."""
    uvicorn.run(
        "krakapp.asgi:application",
        host=os.environ.get("HOST", "127.0.0.1"),
        port=settings.PORT,
        workers=2,
        timeout_graceful_shutdown=5,
        access_log=False,
        log_level="warning",
        **options(),
    )


if __name__ == "__main__":
    main()
