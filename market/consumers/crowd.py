"""How many sockets one address and one customer may have, and how often they may open one.

What is open is counted in each web process; what is opened, in Redis for all of them. A socket that
is refused is told why, in words, and closed: a browser learns nothing from a refused handshake.
"""

from collections import Counter
from typing import Any

from channels.db import database_sync_to_async
from django.conf import settings

import users.operations
from common import clock
from common.limits import TooManyCalls
from market.consumers import protocol
from market.consumers.protocol import Refused
from market.consumers.socket import TRY_AGAIN_LATER
from users.models import CallLimit

ADDRESS, CUSTOMER = CallLimit.Scope.ADDRESS, CallLimit.Scope.CUSTOMER


class Crowd:
    """An ASGI application that lets so many sockets of an address into another."""

    def __init__(self, application: Any) -> None:
        """Stand in front of an application."""
        self._application = application
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Let a socket in, or tell it why not."""
        if not settings.RATE_LIMITS:
            await self._application(scope, receive, send)
            return
        address = users.operations.neighborhood((scope.get("client") or [""])[0])
        try:
            scope["limits"] = await database_sync_to_async(_knock)(address, self._open[address])
        except (TooManyCalls, Refused) as refused:
            await _turn_away(str(refused), receive, send)
            return
        self._open[address] += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._open -= Counter([address])  # and forgets who has none


class Customers:
    """The sockets of each customer in this process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open: Counter[int] = Counter()

    def enter(self, customer: int, bound: CallLimit | None) -> None:
        """Count one more.

        :raises Refused: if it is one too many
        """
        if bound and self._open[customer] >= bound.capacity:
            raise Refused("Exceeded maximum number of sockets: close one first")
        self._open[customer] += 1

    def leave(self, customer: int) -> None:
        """Count one less."""
        self._open -= Counter([customer])


customers = Customers()


def _knock(address: str, is_open: int) -> dict[str, CallLimit | None]:
    """Count a socket that opens, and give the limits for what it will do.

    :raises TooManyCalls: if its address opens them too often
    :raises Refused: if its address has too many
    """
    now = clock.now()
    bound = users.operations.limit(kind=CallLimit.Kind.OPEN_SOCKETS, scope=ADDRESS, now=now)
    if bound and is_open >= bound.capacity:
        raise Refused("Exceeded maximum number of sockets: close one first")
    users.operations.charge(kind=CallLimit.Kind.SOCKETS, address=address, now=now)
    kinds = ((CallLimit.Kind.MESSAGES, ADDRESS), (CallLimit.Kind.OPEN_SOCKETS, CUSTOMER))
    return {
        str(kind): users.operations.limit(kind=kind, scope=scope, now=now) for kind, scope in kinds
    }


async def _turn_away(words: str, receive: Any, send: Any) -> None:
    """Open the socket just to say why it closes (RFC 6455, 1013: try again later)."""
    await receive()
    await send({"type": "websocket.accept"})
    text = protocol.refusal(words, time_in=clock.now())
    await send({"type": "websocket.send", "text": text})
    await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
