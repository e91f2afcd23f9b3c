"""Whether the platform is well, part by part, said in time whatever hangs.

Each question is asked in a thread of its own. Who asks waits a moment for the answer and no longer:
a part that has not answered by then has failed, and the next who asks joins the same question.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from typing import Any

import psycopg
import redis
from django.conf import settings

from common import patience, realtime
from krakapp import database

ANSWER_S = 0.7  # of all questions together
BEATING = ("engine", "worker", "feed", "liquidity")


class Question:
    """Something that is asked at most once at a time."""

    def __init__(self, name: str, ask: Callable[[], Any]) -> None:
        """Take what to ask; it raises where there is no answer."""
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"health-{name}")
        self._lock = threading.Lock()
        self._asked: Future[Any] | None = None

    def ask(self) -> Future[Any]:
        """Ask, or join who is asking."""
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = self._thread.submit(self._ask)
            return self._asked


class Line:
    """A connection to the database of one's own: those of the pool may all be taken."""

    def __init__(self) -> None:
        """Connect when it is first needed."""
        self._connection: psycopg.Connection[Any] | None = None

    def ask(self) -> None:
        """Ask the database for anything.

        :raises psycopg.Error: if it does not answer
        """
        with patience.within(ANSWER_S):
            if self._connection is None or self._connection.closed:
                self._connection = database.connect(settings.DATABASES["default"])
            self._connection.execute("SELECT 1")


def _ask_redis() -> dict[str, bool]:
    """Ask Redis which processes have proved that they live."""
    return {name: realtime.is_alive(name) for name in BEATING}


_database = Question("database", Line().ask)
_redis = Question("redis", _ask_redis)


def examine() -> dict[str, str]:
    """Ask every part: "ok", "failed", or "unknown" where Redis is away and cannot say."""
    database_asked, redis_asked = _database.ask(), _redis.ask()
    try:
        database_asked.result(ANSWER_S)
    except (psycopg.Error, Late):
        state = "failed"
    else:
        state = "ok"
    return {"database": state, **_redis_and_processes(redis_asked)}


def _redis_and_processes(asked: "Future[dict[str, bool]]") -> dict[str, str]:
    try:
        alive = asked.result(0.1 if not asked.done() else 0)
    except (redis.RedisError, Late):
        return {"redis": "failed", **dict.fromkeys(BEATING, "unknown")}
    states = {name: "ok" if beats else "failed" for name, beats in alive.items()}
    return {"redis": "ok", **states}
