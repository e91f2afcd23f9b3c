"""The web process: Django for HTTP, Channels for the two sockets."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from krakapp.handler import Receive, Send, get_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "krakapp.settings")
django_application = get_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError
from django.urls import path

from redis.exceptions import RedisError

from common import patience
from krakapp.proxies import BehindProxies
from market.consumers import Crowd, PrivateConsumer, PublicConsumer

logger = logging.getLogger(__name__)
PASSING = (OperationalError, InterfaceError, InternalError, RedisError)  # it may work in a moment
patience.bound_every_wait(settings.WAIT_S)  # of sockets and of the pool's own threads


async def lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer the server's greeting and its farewell."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def closed(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Refuse a socket during maintenance: try again later (RFC 6455, 1013)."""
    await receive()
    await send({"type": "websocket.close", "code": 1013})


class Soon:
    """Tells a socket to come again soon where the database or Redis fails it."""

    def __init__(self, inner: Any) -> None:
        """Take the sockets themselves."""
        self._inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Pass on, and end with 503 before the socket is open, with 1013 after it."""
        last = ""

        async def noticing(message: Mapping[str, Any]) -> None:
            nonlocal last
            last = message["type"]
            await send(message)

        try:
            await self._inner(scope, receive, noticing)
        except PASSING as failure:
            logger.warning("a socket failed for now: %s", failure)
            if last == "websocket.close":
                return
            if last or "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1013})
                return
            start = {"type": "websocket.http.response.start", "status": 503}
            await send({**start, "headers": [(b"retry-after", b"1"), (b"content-length", b"0")]})
            await send({"type": "websocket.http.response.body", "body": b""})


public: Any = PublicConsumer.as_asgi()
private: Any = AuthMiddlewareStack(PrivateConsumer.as_asgi())
routes: list[Any] = [path("ws/v2", public), path("ws/v2/private", private)]
sockets: Any = closed if settings.MAINTENANCE else Soon(Crowd(URLRouter(routes)))
doors: Any = ProtocolTypeRouter(
    {"http": django_application, "websocket": sockets, "lifespan": lifespan}
)
application = BehindProxies(doors, settings.TRUSTED_PROXIES)
