"""What both sockets share: requests and answers, limits, heartbeats, and the way out."""

import asyncio
import secrets
from datetime import datetime
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

from common import clock
from market.consumers import protocol
from market.consumers.hub import Hub
from market.consumers.outbox import Outbox
from market.consumers.protocol import Refused, Request

REQUESTS_A_SECOND = 20.0
REQUESTS_AT_ONCE = 200.0
TRY_AGAIN_LATER = 1013


class Socket(AsyncWebsocketConsumer):
    """A connection that speaks Kraken's WebSocket v2."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Live as a task of our own, which `give_up` can end however busy the line is."""
        self._transport = getattr(getattr(send, "__self__", None), "transport", None)
        self._life = asyncio.create_task(super().__call__(scope, receive, send))
        try:
            await self._life
        except asyncio.CancelledError:
            if not self._life.cancelled() or not self.outbox.is_dropped:
                self._life.cancel()
                raise
        finally:
            self._end()

    async def connect(self) -> None:
        """Take the socket in and greet it."""
        scope: Any = self.scope
        bound = scope.get("limits", {}).get("messages")  # the policy, unless switched off
        self._at_once = float(bound.capacity) if bound else REQUESTS_AT_ONCE
        self._a_second = float(bound.per_second) if bound else REQUESTS_A_SECOND
        self._allowance = self._at_once
        self._asked_at = asyncio.get_running_loop().time()
        self.outbox = Outbox(drop=self.give_up)
        self.outbox.connection_id = secrets.randbits(53)
        self.hub = Hub.here()
        await self.accept()
        await self.hub.attach(self.outbox)
        self._writer = asyncio.create_task(self.outbox.run(self._send_text))
        self._writer.add_done_callback(self._write_failed)
        self.greet()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer one request."""
        time_in = clock.now()
        request: Request | None = None
        try:
            self._spend_allowance()
            request = protocol.read(text_data or (bytes_data or b"").decode("utf-8", "replace"))
            await self._answer(request, time_in)
        except Refused as refused:
            about = {"method": request.method} if request else {}
            req_id = request.req_id if request else None
            self.outbox.say(protocol.refusal(str(refused), time_in=time_in, req_id=req_id, **about))

    async def _answer(self, request: Request, time_in: datetime) -> None:
        if request.method == "ping":
            pong = Request("pong", req_id=request.req_id)
            self.outbox.say(protocol.answer(pong, time_in))
        elif request.method == "subscribe":
            await self.subscribe(request, time_in)
        elif request.method == "unsubscribe":
            await self.unsubscribe(request, time_in)
        else:
            raise Refused("Unsupported method")

    async def subscribe(self, request: Request, time_in: datetime) -> None:
        """Begin to send a channel."""
        raise NotImplementedError

    async def unsubscribe(self, request: Request, time_in: datetime) -> None:
        """Send a channel no longer."""
        raise NotImplementedError

    def greet(self) -> None:
        """Say how the platform is and which connection this is, as the channel `status` does."""
        self.outbox.say(protocol.status(self.outbox.connection_id, self.hub.parts))

    def give_up(self) -> None:
        """End a socket that does not read: no farewell could reach it."""
        if self._transport is not None and hasattr(self._transport, "abort"):
            self._transport.abort()  # closing would wait for what it will never read
        self._life.cancel()

    def _spend_allowance(self) -> None:
        """Take one request off what this socket may ask.

        :raises Refused: if it asks too much
        """
        now = asyncio.get_running_loop().time()
        refilled = self._allowance + (now - self._asked_at) * self._a_second
        self._allowance, self._asked_at = min(refilled, self._at_once), now
        if self._allowance < 1:
            raise Refused("Exceeded msg rate")
        self._allowance -= 1

    async def _send_text(self, text: str) -> None:
        await self.send(text_data=text)

    def _write_failed(self, writer: "asyncio.Task[None]") -> None:
        """End the socket when its way out broke."""
        if not writer.cancelled() and writer.exception() is not None:
            self.outbox.drop()

    def _end(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.cancel()
        if hasattr(self, "hub"):
            self.hub.detach(self.outbox)
