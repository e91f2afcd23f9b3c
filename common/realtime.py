"""How processes tell each other that something happened.

Redis only makes things fast: a message lost here costs time, never truth. Each reader looks at
the database as well, on its own clock.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from common import patience

logger = logging.getLogger(__name__)

MARKET_CHANNEL = "market"
ALIVE_S = 15
SOON_S = 5
ANSWER_S = 1.0  # Redis answers in far less, or hangs
REST_S = 1.0

Snapshot = Callable[[Any], list[dict[str, Any]]]
private_snapshots: dict[str, Snapshot] = {}


class BoundedPool(redis.ConnectionPool):
    """Connections to a Redis that may hang: who waited in vain spares everybody else the wait.

    It tries again a moment later, so a Redis that is back is found by whoever asks next.
    """

    rests_until = 0.0  # of all pools of this process, on the monotonic clock

    def __init__(self, connection_class: Any = redis.Connection, **options: Any) -> None:
        """Bound every wait of the connections, and repeat none."""
        bounds = {"socket_timeout": ANSWER_S, "socket_connect_timeout": ANSWER_S}
        once = Retry(NoBackoff(), 0)
        super().__init__(_impatient(connection_class), **{**options, **bounds, "retry": once})

    def get_connection(self, *args: Any, **options: Any) -> Any:
        """Give a connection, unless Redis has just failed to answer.

        :raises redis.RedisError: if it has, or does
        """
        if time.monotonic() < BoundedPool.rests_until:
            raise redis.ConnectionError("Redis did not answer a moment ago")
        return super().get_connection(*args, **options)


@cache
def _impatient(connection_class: type[Any]) -> type[Any]:
    """Make a class of connections that tells the pools where Redis does not answer."""

    class Impatient(connection_class):  # type: ignore[misc]
        def connect(self, *args: Any, **options: Any) -> Any:
            with _noticing():
                return super().connect(*args, **options)

        def read_response(self, *args: Any, **options: Any) -> Any:
            with _noticing():
                return super().read_response(*args, **options)

    return Impatient


@contextmanager
def _noticing() -> Iterator[None]:
    try:
        with patience.waiting():
            yield
    except redis.TimeoutError:
        BoundedPool.rests_until = time.monotonic() + REST_S
        raise


@cache
def connection() -> redis.Redis:
    """Give this process' Redis client (thread-safe, reconnects by itself)."""
    return redis.Redis(connection_pool=BoundedPool.from_url(settings.REDIS_URL))


def nudge(topic: str) -> None:
    """Wake whoever waits for a topic, once the transaction is committed."""
    transaction.on_commit(lambda: _nudge(topic), robust=True)


def _nudge(topic: str) -> None:
    """Leave at most one token: two nudges before a look are one look."""
    try:
        pipe = connection().pipeline(transaction=False)
        pipe.rpush(f"nudge:{topic}", b"1")
        pipe.ltrim(f"nudge:{topic}", -1, -1)
        pipe.execute()
    except redis.RedisError:
        logger.warning("no nudge for %s: Redis is away, the next look will find it", topic)


def wait_for_nudge(topic: str, *, timeout_s: float) -> bool:
    """Wait until somebody nudges, at most so long; say whether somebody did.

    :raises redis.RedisError: if Redis is away; the caller then waits on its own clock
    """
    return connection().blpop([f"nudge:{topic}"], timeout=timeout_s) is not None


def run_soon(task: str, *, after_s: float = 0) -> None:
    """Ask a worker to run a task, once the transaction is committed.

    The rows say what is due and beat looks as well, so a lost message only costs time. While one
    message waits, others add nothing: whoever takes it looks at the rows after that. What is asked
    for while the task runs is asked for when it has ended, so that no two workers do one's work.

    :param task: its full name, as nobody may import a task
    :param after_s: let more become due meanwhile, where one look at much costs less than many
    """
    transaction.on_commit(lambda: _run_soon(task, after_s), robust=True)


ASK = """
local state = redis.call('GET', KEYS[1])
if state == 'running' then redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) end
if state then return 0 end
redis.call('SET', KEYS[1], 'asked', 'EX', ARGV[2])
return 1
"""
END = """
local state = redis.call('GET', KEYS[1])
if state == 'running' then redis.call('DEL', KEYS[1]) end
if not state or state == 'running' or state == 'asked' then return false end
redis.call('SET', KEYS[1], 'asked', 'EX', ARGV[1])
return state
"""
AGAIN = """
local state = redis.call('GET', KEYS[1])
if not state or state == 'running' or state == 'asked' then return 0 end
redis.call('SET', KEYS[1], 'running', 'EX', ARGV[1])
return 1
"""


def _run_soon(task: str, after_s: float) -> None:
    try:
        if _script(ASK)(keys=[f"soon:{task}"], args=[after_s, SOON_S]):
            _send(task, after_s)
    except (redis.RedisError, OperationalError):
        logger.warning("%s not sent: Redis is away, beat will run it", task)


def _send(task: str, after_s: float) -> None:
    current_app.send_task(task, countdown=after_s, retry=False, ignore_result=True)


def begun(task: str) -> None:
    """Say that a task begins to look at its rows."""
    try:
        connection().set(f"soon:{task}", b"running", ex=SOON_S)
    except redis.RedisError:
        logger.warning("%s may be asked for twice: Redis is away", task)


def ended(task: str) -> None:
    """Say that a task is over, and ask for it again where something became due meanwhile."""
    try:
        after_s = _script(END)(keys=[f"soon:{task}"], args=[SOON_S])
        if after_s is not None:
            _send(task, float(after_s))
    except (redis.RedisError, OperationalError):
        logger.warning("%s not sent again: Redis is away, beat will run it", task)


def wanted_again(task: str) -> bool:
    """Tell a running task whether it was asked for meanwhile; if so, it looks at its rows again."""
    try:
        return bool(_script(AGAIN)(keys=[f"soon:{task}"], args=[SOON_S]))
    except redis.RedisError:
        return False  # which `ended` says


@cache
def _script(text: str) -> Any:
    return connection().register_script(text)


def publish_market(message: dict[str, Any], *, keep_as: str | None = None) -> None:
    """Send public market data to every web process, at once.

    :param keep_as: the Redis key where late joiners find the last message of its kind
    """
    text = json.dumps(message, separators=(",", ":"))
    try:
        pipe = connection().pipeline(transaction=False)
        if keep_as:
            pipe.set(keep_as, text)
        pipe.publish(MARKET_CHANNEL, text)
        pipe.execute()
    except redis.RedisError:
        logger.warning("market message %s lost: Redis is away", message.get("kind"))


def publish_private(user_id: int, channel: str, data: dict[str, Any]) -> None:
    """Send a customer's own event to their sockets, once the transaction is committed."""
    transaction.on_commit(lambda: send_private([(user_id, channel, data)]), robust=True)


def send_private(events: list[tuple[int, str, dict[str, Any]]]) -> None:
    """Send customers' events (user id, channel, data) now, in one round trip.

    The caller has committed. Each event gets the customer's next number in its channel, or its own
    `sequence` where it has one, and is published with it at once: whoever follows hears numbers
    without gaps, in order, or knows that one is missing.
    """
    prefix = settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"]
    keys = [_number_key(user_id, channel) for user_id, channel, _ in events]
    arguments: list[Any] = []
    for user_id, channel, data in events:
        group = f"{prefix}__group__{user_group(user_id)}"  # as the channel layer names it
        text = json.dumps(data, separators=(",", ":"))
        arguments += [group, channel, text, data.get("sequence") or ""]
    try:
        _script(NUMBER_AND_PUBLISH)(keys=keys, args=arguments)
    except redis.RedisError:
        logger.warning("%s private events lost: Redis is away", len(events))


# What the channel layer would publish, serialized as it does, with a number from the same breath.
NUMBER_AND_PUBLISH = """
for i, key in ipairs(KEYS) do
    local group, channel, data, given = unpack(ARGV, 4 * i - 3, 4 * i)
    local number = tonumber(given)
    if number then redis.call('SET', key, given) else number = redis.call('INCR', key) end
    redis.call('EXPIRE', key, 604800)
    redis.call('PUBLISH', group, cmsgpack.pack(
        {type = 'private.event', channel = channel, data = data, number = number}))
end
"""


def recheck_sockets(user_id: int) -> None:
    """Let a customer's sockets look at once, after the commit, whether they are still signed in."""
    transaction.on_commit(lambda: _recheck_sockets(user_id), robust=True)


def _recheck_sockets(user_id: int) -> None:
    prefix = settings.CHANNEL_LAYERS["default"]["CONFIG"]["prefix"]
    group = f"{prefix}__group__{user_group(user_id)}"
    try:
        _script(ASK_SOCKETS)(keys=[], args=[group])
    except redis.RedisError:
        logger.warning("sockets of a session that ended stay for a minute: Redis is away")


ASK_SOCKETS = "redis.call('PUBLISH', ARGV[1], cmsgpack.pack({type = 'private.recheck'}))"


def _number_key(user_id: int, channel: str) -> str:
    return f"number:{channel}:{user_id}"


def last_numbers(followed: Sequence[tuple[int, str]]) -> list[int]:
    """Give the number of the last event of each (user id, channel); 0 where Redis knows none.

    :raises redis.RedisError: if Redis is away
    """
    keys = [_number_key(user_id, channel) for user_id, channel in followed]
    return [int(number or 0) for number in connection().mget(keys)] if keys else []


def user_group(user_id: int) -> str:
    """Name the group that all sockets of a customer join."""
    return f"user.{user_id}"


def private_snapshot(channel: str) -> Callable[[Snapshot], Snapshot]:
    """Register who answers with the present state when a customer subscribes to a channel."""

    def register(provider: Snapshot) -> Snapshot:
        private_snapshots[channel] = provider
        return provider

    return register


def beat(process: str) -> None:
    """Prove that a process is alive, for the next 15 s."""
    try:
        connection().set(f"alive:{process}", b"1", ex=ALIVE_S)
    except redis.RedisError:
        logger.warning("no heartbeat of %s: Redis is away", process)


def is_alive(process: str) -> bool:
    """Say whether a process proved life within 15 s.

    :raises redis.RedisError: if Redis is away
    """
    return bool(connection().exists(f"alive:{process}"))
