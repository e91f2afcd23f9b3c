"""`/ws/v2/private`: a customer's own executions, balances and notifications."""

import asyncio
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from allauth.headless.internal.sessionkit import authenticate_by_x_session_token
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from common.realtime import private_snapshots, user_group
from market.consumers import protocol
from market.consumers.protocol import Refused, Request
from market.consumers.socket import Socket

CHANNELS = ("executions", "balances", "notifications")
INVALID_SESSION = "ESession:Invalid session"
CHECK_EVERY_S = 60.0


class PrivateConsumer(Socket):
    """One customer's socket: signed in by the browser's session, or by a token in a request."""

    async def connect(self) -> None:
        """Take the socket in; who it is may still be told by a token."""
        self._user: Any = None
        self._token: str | None = None
        self._sequences: dict[str, int] = {}
        self._early: dict[str, list[dict[str, Any]]] = {}
        user: Any = self.scope.get("user")
        if user is not None and user.is_authenticated and user.is_active and self._same_origin():
            self._user = user
        await super().connect()
        self._watch = asyncio.create_task(self._watch_session())

    async def disconnect(self, code: int) -> None:
        """Leave the customer's group."""
        self._watch.cancel()
        if self._user is not None:
            await self.channel_layer.group_discard(user_group(self._user.pk), self.channel_name)

    async def subscribe(self, request: Request, time_in: datetime) -> None:
        """Answer, then send the present state, then what happens from now on."""
        channel = self._channel(request)
        await self._sign_in(request.params.token)
        if channel in self._sequences or channel in self._early:
            raise Refused("Already subscribed")
        self._early[channel] = []
        await self.channel_layer.group_add(user_group(self._user.pk), self.channel_name)
        result = {"channel": channel, "snapshot": request.params.snapshot}
        self.outbox.say(protocol.answer(request, time_in, result=result, success=True))
        try:
            provider = private_snapshots.get(channel)
            data = await database_sync_to_async(provider)(self._user) if provider else []
        finally:
            early = self._early.pop(channel)
        self._sequences[channel] = 0
        if request.params.snapshot:
            self._tell(channel, "snapshot", data)
        for event in early:
            self._tell(channel, "update", [event])

    async def unsubscribe(self, request: Request, time_in: datetime) -> None:
        """Send a channel no longer."""
        channel = self._channel(request)
        if self._sequences.pop(channel, None) is None:
            raise Refused("Subscription Not Found")
        result = {"channel": channel}
        self.outbox.say(protocol.answer(request, time_in, result=result, success=True))

    async def private_event(self, event: dict[str, Any]) -> None:
        """Pass on what happened, after the snapshot if that is still being read."""
        channel, data = event["channel"], event["data"]
        if channel in self._early:
            self._early[channel].append(data)
        elif channel in self._sequences:
            self._tell(channel, "update", [data])

    def _tell(self, channel: str, kind: str, data: list[dict[str, Any]]) -> None:
        self._sequences[channel] += 1
        self.outbox.say(
            protocol.encode(
                {
                    "channel": channel,
                    "type": kind,
                    "data": data,
                    "sequence": self._sequences[channel],
                }
            )
        )

    @staticmethod
    def _channel(request: Request) -> str:
        if request.params.channel not in CHANNELS:
            raise Refused("Subscription channel not supported")
        return request.params.channel

    async def _sign_in(self, token: str | None) -> None:
        """Learn from a token who it is, unless the browser's session told.

        :raises Refused: for a wrong token, none at all, or that of another customer
        """
        if token is None:
            if self._user is None:
                raise Refused(INVALID_SESSION)
            return
        if token == self._token:
            return
        user = await database_sync_to_async(_user_of)(token)
        if user is None or (self._user is not None and user.pk != self._user.pk):
            raise Refused(INVALID_SESSION)
        self._user, self._token = user, token

    def _same_origin(self) -> bool:
        """Tell whether the page that opened this socket is our own."""
        headers = {name: value.decode("latin-1") for name, value in self.scope["headers"]}
        origin = headers.get(b"origin", "")
        return bool(origin) and (
            urlsplit(origin).netloc == headers.get(b"host")
            or origin in settings.CSRF_TRUSTED_ORIGINS
        )

    async def _watch_session(self) -> None:
        """Hang up when the customer has signed out elsewhere."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            if self._user is not None and not await database_sync_to_async(self._is_signed_in)():
                await self.close(code=4401)

    def _is_signed_in(self) -> bool:
        if self._token is not None:
            return _user_of(self._token) is not None
        request = HttpRequest()
        store = type(self.scope["session"]._wrapped)  # noqa: SLF001 - a lazy object hides its class
        request.session = store(self.scope["session"].session_key)
        return bool(get_user(request).is_authenticated)


def _user_of(token: str) -> Any:
    """Find the active customer of a session token."""
    found = authenticate_by_x_session_token(token)
    return found[0] if found and found[0].is_active else None
