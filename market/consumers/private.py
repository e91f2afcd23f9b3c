"""`/ws/v2/private`: a customer's own executions, balances and notifications."""

import asyncio
import logging
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from allauth.headless.internal.sessionkit import authenticate_by_x_session_token
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from redis import RedisError

from common import realtime
from common.realtime import private_snapshots, user_group
from market.consumers import protocol
from market.consumers.crowd import customers
from market.consumers.protocol import Refused, Request
from market.consumers.socket import Socket

CHANNELS = ("executions", "balances", "notifications")
INVALID_SESSION = "ESession:Invalid session"
CHECK_EVERY_S = 60.0
COMPARE_EVERY_S = 2.0

logger = logging.getLogger(__name__)


class PrivateConsumer(Socket):
    """One customer's socket: signed in by the browser's session, or by a token in a request."""

    async def connect(self) -> None:
        """Take the socket in; who it is may still be told by a token."""
        self._user: Any = None
        self._token: str | None = None
        self._numbers: dict[str, int] = {}  # of the last event passed on, by channel
        self._early: dict[str, list[tuple[int, str]]] = {}  # what came during a snapshot
        self._tasks: set[asyncio.Task[None]] = set()
        self._counted = False  # among the customer's sockets
        user: Any = self.scope.get("user")
        if user is not None and user.is_authenticated and user.is_active and self._same_origin():
            self._user = user
        await super().connect()
        self._watch = asyncio.create_task(self._watch_session())

    async def disconnect(self, code: int) -> None:
        """Leave the customer's group."""
        for task in (self._watch, *self._tasks):
            task.cancel()
        Checker.here().leave(self)
        if self._counted:
            customers.leave(self._user.pk)
        if self._user is not None:
            await self.channel_layer.group_discard(user_group(self._user.pk), self.channel_name)

    async def subscribe(self, request: Request, time_in: datetime) -> None:
        """Answer, then send the present state, then what happens from now on."""
        channel = self._channel(request)
        await self._sign_in(request.params.token)
        if not self._counted:
            scope: Any = self.scope
            customers.enter(self._user.pk, scope.get("limits", {}).get("open_sockets"))
            self._counted = True
        if channel in self._numbers or channel in self._early:
            raise Refused("Already subscribed")
        self._early[channel] = []
        await self.channel_layer.group_add(user_group(self._user.pk), self.channel_name)
        Checker.here().follow(self)
        result = {"channel": channel, "snapshot": request.params.snapshot}
        self.outbox.say(protocol.answer(request, time_in, result=result, success=True))
        await self._take(channel, tell=request.params.snapshot)

    async def unsubscribe(self, request: Request, time_in: datetime) -> None:
        """Send a channel no longer."""
        channel = self._channel(request)
        if self._numbers.pop(channel, None) is None:
            raise Refused("Subscription Not Found")
        result = {"channel": channel}
        self.outbox.say(protocol.answer(request, time_in, result=result, success=True))

    async def private_event(self, event: dict[str, Any]) -> None:
        """Pass on what happened, after the snapshot if that is still being read."""
        channel, number, data = event["channel"], event["number"], event["data"]
        if channel in self._early:
            self._early[channel].append((number, data))
        elif channel in self._numbers:
            self._pass_on(channel, number, data)

    async def private_recheck(self, _event: dict[str, Any]) -> None:
        """Hang up if the session has ended: the customer signed out, or signed this device out."""
        await self._hang_up_if_signed_out()

    @property
    def followed(self) -> dict[tuple[int, str], int]:
        """Give the number of the last event passed on, by user and channel."""
        return {(self._user.pk, channel): number for channel, number in self._numbers.items()}

    def catch_up(self, channel: str) -> None:
        """Begin a channel anew with a snapshot, as something was missed."""
        if channel in self._numbers and channel not in self._early:
            self._early[channel] = []
            task = asyncio.create_task(self._take(channel, tell=True))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self, channel: str, *, tell: bool) -> None:
        """Read the present state, tell it if wanted, and go on with what came meanwhile."""
        try:
            number, data = await database_sync_to_async(_present)(self._user, channel)
        except BaseException:
            self._early.pop(channel)
            raise
        self._numbers[channel] = number
        if tell:
            self._tell("snapshot", channel, number, protocol.encode(data))
        for later, text in self._early.pop(channel):
            self._pass_on(channel, later, text)
        self._beat()

    def _pass_on(self, channel: str, number: int, text: str) -> None:
        """Tell an event that is the next one; after a gap, all anew."""
        last = self._numbers[channel]
        if number <= last:
            return  # the snapshot has it
        self._numbers[channel] = number
        if number > last + 1:
            self.catch_up(channel)
            return
        self._tell("update", channel, number, f"[{text}]")
        self._beat()

    def _tell(self, kind: str, channel: str, number: int, data: str) -> None:
        """Send a message; its data is JSON already."""
        self.outbox.say(
            f'{{"channel":"{channel}","type":"{kind}","data":{data},"sequence":{number}}}'
        )

    def _beat(self) -> None:
        """Let the heartbeat say the last number of each channel, so that a gap shows in silence."""
        beat = {"channel": "heartbeat", "sequences": self._numbers}
        self.outbox.heartbeat = protocol.encode(beat)

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
            await self._hang_up_if_signed_out()

    async def _hang_up_if_signed_out(self) -> None:
        if self._user is not None and not await database_sync_to_async(self._is_signed_in)():
            await self.close(code=4401)

    def _is_signed_in(self) -> bool:
        if self._token is not None:
            return _user_of(self._token) is not None
        request = HttpRequest()
        store = type(self.scope["session"]._wrapped)  # noqa: SLF001 - a lazy object hides its class
        request.session = store(self.scope["session"].session_key)
        return bool(get_user(request).is_authenticated)


def _present(user: Any, channel: str) -> tuple[int, list[dict[str, Any]]]:
    """Read a channel's present state, and the number of an event that is in it for certain."""
    try:
        [number] = realtime.last_numbers([(user.pk, channel)])
    except RedisError:
        number = 0  # the checker begins anew when Redis is back
    provider = private_snapshots.get(channel)
    return number, provider(user) if provider else []


class Checker:
    """Compares, once in a while, what the sockets of an event loop heard with what was said.

    Redis' own channels promise nothing: what was published while a line was down is gone. A socket
    that has missed something gets a snapshot, and so has everything when Redis was away.
    """

    _checkers: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "Checker"]] = (
        WeakKeyDictionary()
    )

    @classmethod
    def here(cls) -> "Checker":
        """Give the checker of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in cls._checkers:
            cls._checkers[loop] = cls()
        return cls._checkers[loop]

    def __init__(self) -> None:
        """Begin without sockets."""
        self._sockets: set[PrivateConsumer] = set()
        self._task: asyncio.Task[None] | None = None
        self._before: dict[PrivateConsumer, dict[tuple[int, str], int]] = {}
        self._was_away = False

    def follow(self, socket: PrivateConsumer) -> None:
        """Look after a socket; the first one starts the checks."""
        self._sockets.add(socket)
        if self._task is None:
            self._task = asyncio.create_task(self._check_forever(), name="private-checker")

    def leave(self, socket: PrivateConsumer) -> None:
        """Look after a socket no longer; the last one ends the checks."""
        self._sockets.discard(socket)
        self._before.pop(socket, None)
        if not self._sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(COMPARE_EVERY_S)
            try:
                await self._check()
                self._was_away = False
            except RedisError:
                self._was_away = True
            except Exception:
                logger.exception("private sockets are not checked")

    async def _check(self) -> None:
        """Let a socket begin anew where it stood still behind what was said since the last look."""
        told = {socket: socket.followed for socket in self._sockets}
        wanted = sorted({key for followed in told.values() for key in followed})
        numbers = await sync_to_async(realtime.last_numbers)(wanted)
        said = dict(zip(wanted, numbers, strict=True))
        for socket, followed in told.items():
            before = self._before.get(socket, {})
            for key, number in followed.items():
                stuck = before.get(key) == number and said[key] != number
                if stuck or self._was_away:
                    socket.catch_up(key[1])
        self._before = told


def _user_of(token: str) -> Any:
    """Find the active customer of a session token."""
    found = authenticate_by_x_session_token(token)
    return found[0] if found and found[0].is_active else None
