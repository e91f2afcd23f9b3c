"""The web process: Django for HTTP, Channels for the two sockets."""

import os
from typing import Any

from krakapp.handler import Receive, Send, get_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "krakapp.settings")
django_application = get_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

from common import patience
from market.consumers import Crowd, PrivateConsumer, PublicConsumer

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


public: Any = PublicConsumer.as_asgi()
private: Any = AuthMiddlewareStack(PrivateConsumer.as_asgi())
routes: list[Any] = [path("ws/v2", public), path("ws/v2/private", private)]
sockets: Any = closed if settings.MAINTENANCE else Crowd(URLRouter(routes))
application = ProtocolTypeRouter(
    {"http": django_application, "websocket": sockets, "lifespan": lifespan}
)
