"""Which parts of the platform are at work, said by themselves, and heard in time whatever hangs.

Each part writes a row of `Heartbeat` at least twice a second, after it has done what it is there
for. The table is not logged, so a beat costs no write to the disk, and it needs nothing but the
database, without which nothing can be done anyway. Who is silent for `SILENCE_S` says so in words:
here is what each silence means to customers.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from common import clock, patience, realtime
from common.database import prepared

ANSWER_S = 0.7  # how long one look waits for the database and for Redis together
BEAT_S = 0.4  # how often a part that has nothing to do says that it is there

DATABASE, REDIS = "database", "redis"
ENGINE, SETTLER, FEED, LIQUIDITY = "engine", "settler", "feed", "liquidity"
WORDS = {
    DATABASE: "Our records do not answer. Nothing can be bought, sold or moved until they do.",
    REDIS: "Live updates are delayed. Reload a page to see what is true now.",
    ENGINE: "The market does not answer. No new order is taken; cancelling works.",
    SETTLER: "Trades are settled late. Market orders are not taken until that is done.",
    FEED: "No new prices arrive; those shown are old. Market orders are not taken.",
    LIQUIDITY: "We are not quoting just now. Orders meet other customers only.",
}
# What may still be asked for, in Kraken's words for the state of a system; the worst counts.
SYSTEM = {
    DATABASE: "maintenance",
    ENGINE: "cancel_only",
    SETTLER: "limit_only",
    FEED: "limit_only",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part, and since when nobody has heard of it: None where it is at work."""

    name: str
    silent_since: datetime | None
    is_known: bool = True  # not where only the database could tell
    answered: bool = True  # just now, if it is asked; a slow answer is no silence yet

    @property
    def words(self) -> str:
        """Say what its silence means."""
        return WORDS[self.name] if self.silent_since else ""


def beat(name: str) -> None:
    """Say that a part is at work.

    :param name: `engine:` and its shard, else the part's own
    :raises DatabaseError: if the database is away
    """
    prepared(
        """
        INSERT INTO common_heartbeat (part, at) VALUES (%s, clock_timestamp())
        ON CONFLICT (part) DO UPDATE SET at = excluded.at
        """,
        [name],
    )


class Pulse:
    """A part's heartbeats, at most every `BEAT_S` however often it is at work."""

    def __init__(self, name: str) -> None:
        """Take the part's name."""
        self.name = name
        self._next = 0.0

    def beat(self) -> None:
        """Say that the part is at work, where it has not just said so."""
        if time.monotonic() >= self._next:
            beat(self.name)
            self._next = time.monotonic() + BEAT_S


def system(parts: Sequence[Part]) -> str:
    """Say what may be asked for while some parts are silent."""
    silent = {part.name for part in parts if part.silent_since}
    return next((word for name, word in SYSTEM.items() if name in silent), "online")


class Question:
    """Something that is asked in a thread of its own, at most once at a time."""

    def __init__(self, name: str, ask: Callable[[], Any]) -> None:
        """Take what to ask; it raises where there is no answer."""
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"asks-{name}")
        self._lock = threading.Lock()
        self._asked: Future[Any] | None = None

    def ask(self) -> "Future[Any]":
        """Ask, or join who is asking."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = self._thread.submit(self._ask)
            return self._asked


class Line:
    """A connection to the database of one's own: those of a pool may all be taken."""

    def __init__(self) -> None:
        """Connect when it is first needed, in the thread that needs it."""
        self._connection: Any = None

    def ages(self) -> dict[str, float]:
        """Read how many seconds ago each part was heard of, the least of several of its name.

        :raises DatabaseError: if the database does not answer
        """
        if self._connection is None:
            self._connection = connections.create_connection("default")
            described = self._connection.settings_dict
            options = {k: v for k, v in described["OPTIONS"].items() if k != "pool"}
            self._connection.settings_dict = {**described, "OPTIONS": options, "CONN_MAX_AGE": None}
        try:
            with patience.within(ANSWER_S), self._connection.cursor() as cursor:
                cursor.execute(AGES)
                return dict(cursor.fetchall())
        except (DatabaseError, InterfaceError):
            self._connection.close()
            raise


AGES = """
    SELECT split_part(part, ':', 1), max(extract(epoch FROM clock_timestamp() - at))::float8
    FROM common_heartbeat GROUP BY 1
"""

_database = Question("database", Line().ages)
_redis = Question("redis", lambda: realtime.connection().ping())
_silent_since: dict[str, datetime] = {}  # as this process has noticed
_answered_at: dict[str, datetime] = {}


def look() -> list[Part]:
    """Ask after every part; what has not answered in time is silent."""
    now, until = clock.now(), time.monotonic() + ANSWER_S
    database, redis_asked = _database.ask(), _redis.ask()
    ages = _answer(database, until, (DatabaseError, InterfaceError, Late))
    pong = _answer(redis_asked, until, (redis.RedisError, Late))
    parts = [_asked(DATABASE, now, answered=ages is not None), _asked(REDIS, now, answered=pong)]
    if ages is None:
        return parts + [Part(name, None, is_known=False) for name in (ENGINE, SETTLER, FEED)]
    for name in (ENGINE, SETTLER, FEED, LIQUIDITY):
        age = ages.get(name)
        silent = age is None or age > settings.SILENCE_S
        parts.append(_noticed(name, now - timedelta(seconds=max(0.0, age or 0.0)), silent=silent))
    return parts


def _answer(asked: "Future[Any]", until: float, failures: tuple[type[Exception], ...]) -> Any:
    try:
        return asked.result(max(0.0, until - time.monotonic()))
    except failures:
        return None


def _asked(name: str, now: datetime, *, answered: bool) -> Part:
    """Count a server as silent that has not answered any look for `SILENCE_S`."""
    if answered:
        _answered_at[name] = now
    heard = _answered_at.get(name)
    bound = now - timedelta(seconds=settings.SILENCE_S)  # before that nobody may have asked
    silent = not answered and (heard is None or heard < bound)
    return replace(_noticed(name, bound if heard else now, silent=silent), answered=bool(answered))


def _noticed(name: str, since: datetime, *, silent: bool) -> Part:
    """Remember when a silence began, for as long as it lasts."""
    if not silent:
        _silent_since.pop(name, None)
        return Part(name, None)
    return Part(name, _silent_since.setdefault(name, since))
