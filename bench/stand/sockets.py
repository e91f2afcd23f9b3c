"""The product as a server, and beside its sockets the barest ones: what a delivery costs at least.

`/echo` hands on what it hears on the market's Redis channel, the same bytes to everybody, in a
loop. `/group` is a Channels consumer in one group, as the tutorial has it.
"""

import asyncio
from typing import Any

import redis.asyncio as redis
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

from common.realtime import MARKET_CHANNEL
from krakapp import asgi

GROUP = "bench"
settings.ROOT_URLCONF = "bench.stand.pages"


class Echo:
    """Bare ASGI: one reader of Redis for all sockets, and no more than sending."""

    sends: set[Any] = set()
    reader: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Accept, be told everything, and leave."""
        await receive()
        await send({"type": "websocket.accept"})
        cls = type(self)
        if cls.reader is None:
            cls.reader = asyncio.create_task(self.read())
        cls.sends.add(send)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                await send({"type": "websocket.send", "text": '{"success":true}'})
        finally:
            cls.sends.discard(send)

    async def read(self) -> None:
        """Hand on each message of the market."""
        async with redis.from_url(settings.REDIS_URL) as client, client.pubsub() as channel:
            await channel.subscribe(MARKET_CHANNEL)
            async for heard in channel.listen():
                if heard["type"] == "message":
                    text = heard["data"].decode()
                    for send in list(self.sends):
                        await send({"type": "websocket.send", "text": text})


class Grouped(AsyncWebsocketConsumer):
    """Channels as in its tutorial."""

    async def connect(self) -> None:
        """Join the group."""
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer, so that a client knows it is in."""
        await self.send(text_data='{"success":true}')

    async def tell(self, event: dict[str, Any]) -> None:
        """Pass a message on."""
        await self.send(text_data=event["text"])


application = ProtocolTypeRouter(
    {
        "http": asgi.django_application,
        "websocket": URLRouter(
            [
                path("echo", Echo()),
                path("group", Grouped.as_asgi()),  # type: ignore[arg-type]
                *asgi.routes,
            ]
        ),
        "lifespan": asgi.lifespan,
    }
)
