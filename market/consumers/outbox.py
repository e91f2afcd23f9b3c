"""What one socket still has to be told, bounded whatever the socket does.

Nothing of a topic waits here, only that there is news: what is sent is what is true when the socket
can take it, so a slow reader skips what was overtaken. Answers and private events do wait, up to a
bound; a socket that exceeds it, or takes nothing for ten seconds, is dropped.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from market.consumers import protocol

if TYPE_CHECKING:
    from market.consumers.topics import Topic

MAX_WAITING = 2000
TOO_SLOW_S = 10.0

Send = Callable[[str], Awaitable[None]]


class TooSlow(Exception):
    """This socket does not read what it asked for."""


class Outbox:
    """The way out to one socket."""

    def __init__(self, *, drop: Callable[[], None]) -> None:
        """Take what is to be called when the socket must go."""
        self.versions: dict[Topic, int | None] = {}  # what it was sent last; None: nothing yet
        self.connection_id = 0
        self.sent_at = 0.0
        self.is_dropped = False
        self.heartbeat = protocol.HEARTBEAT
        self._drop = drop
        self._waiting: deque[str] = deque()
        self._news: dict[Topic, None] = {}
        self._wake = asyncio.Event()
        self._sending_since: float | None = None
        self._loop = asyncio.get_running_loop()

    def say(self, text: str) -> None:
        """Send a text after all that waits already."""
        if len(self._waiting) >= MAX_WAITING:
            self.drop()
            return
        self._waiting.append(text)
        self._wake.set()

    def follow(self, topic: "Topic", *, snapshot: bool) -> None:
        """Send a topic's snapshot if wanted, and its updates from now on."""
        self.versions[topic] = None if snapshot else topic.version
        if snapshot:
            self.notice(topic)

    def leave(self, topic: "Topic") -> None:
        """Send nothing more of a topic."""
        self.versions.pop(topic, None)
        self._news.pop(topic, None)

    def notice(self, topic: "Topic") -> None:
        """Learn that a topic has news."""
        self._news[topic] = None
        self._wake.set()

    def pulse(self) -> None:
        """Beat after a second of silence; drop the socket if it takes nothing."""
        now = self._loop.time()
        if self._sending_since is not None and now - self._sending_since > TOO_SLOW_S:
            self.drop()
        elif now - self.sent_at >= 0.95 and not self._waiting and not self._news:
            self.say(self.heartbeat)

    def drop(self) -> None:
        """Give the socket up."""
        if not self.is_dropped:
            self.is_dropped = True
            self._drop()

    async def run(self, send: Send) -> None:
        """Send whatever there is to send, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting or self._news:
                for text in self._next():
                    self._sending_since = self._loop.time()
                    await send(text)
                    self._sending_since = None
                    self.sent_at = self._loop.time()

    def _next(self) -> list[str]:
        """Take what is to be sent next: texts that wait, else the news of all topics."""
        if self._waiting:
            texts = list(self._waiting)
            self._waiting.clear()
            return texts
        news = list(self._news)
        self._news.clear()
        texts, joined = [], []
        for topic in news:
            if topic not in self.versions:
                continue
            version = self.versions[topic]
            self.versions[topic] = topic.version
            if version is None:
                texts += topic.snapshot()
            elif topic.join is not None:
                joined.append(topic)
            else:
                try:
                    texts += topic.since(version)
                except TooSlow:
                    self.drop()
        if joined:
            texts.append(joined[0].join_updates(joined))
        return texts
