"""How often somebody may ask: buckets that leak, kept in Redis.

A call fills each of its buckets by its cost; a bucket leaks so much a second, and a call that would
overflow one fills none. This is the generic cell rate algorithm: of each bucket Redis keeps only
when it will be empty. One script does it for all buckets of a call, in one round trip and at once,
so that parallel calls cannot pass together.

While Redis is away everybody may ask: what must not grow without bound is bounded in the database
too (see `trading.operations.counter`). It is then left alone for a second, so that a Redis that
hangs costs a quarter of a second now and then, and not on each request.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from common import patience
from common.errors import DomainError

logger = logging.getLogger(__name__)

PATIENCE_S = 0.25
AWAY_S = 1.0

# Times are microseconds. A forced call is let through, but owes at most one more whole bucket.
FILL = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local emptied, room, waits, blocked = {}, {}, {}, false
for i, key in ipairs(KEYS) do
  local capacity, each, cost = ARGV[3*i - 1], ARGV[3*i], ARGV[3*i + 1]
  local empty_at = math.max(tonumber(redis.call('GET', key) or now), now)
  emptied[i], room[i] = empty_at + cost * each, now + capacity * each
  waits[i] = math.max(emptied[i] - room[i], 0)
  if waits[i] > 0 then
    blocked = true
    emptied[i] = math.min(emptied[i], room[i] + capacity * each)
    if ARGV[1] == '0' then emptied[i] = empty_at end
  end
end
local told = {}
for i, key in ipairs(KEYS) do
  local each, cost = ARGV[3*i], ARGV[3*i + 1]
  if blocked and ARGV[1] == '0' then
    if waits[i] == 0 then emptied[i] = emptied[i] - cost * each end
  elseif emptied[i] > now then
    local lives = math.ceil((emptied[i] - now) / 1000)
    redis.call('SET', key, string.format('%.0f', emptied[i]), 'PX', lives)
  else
    redis.call('DEL', key)
  end
  told[3*i - 2] = math.floor(math.max(room[i] - emptied[i], 0) / each)
  told[3*i - 1] = math.ceil(waits[i])
  told[3*i] = math.ceil(math.max(emptied[i] - now, 0))
end
return told
"""


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one call fills: whose (`key`), of which policy (`name`), and by how much."""

    name: str
    key: str
    capacity: int
    per_second: float
    cost: int = 1

    @property
    def window_s(self) -> int:
        """The seconds in which a full bucket runs empty."""
        return ceil(self.capacity / self.per_second)


@dataclass(frozen=True, slots=True)
class Level:
    """How a bucket stands after a call: calls left, seconds until it would have had room, or empty.

    `wait_s` is 0 where the call had room.
    """

    bucket: Bucket
    left: int
    wait_s: float
    empty_in_s: float


class TooManyCalls(DomainError):
    """You ask too often; wait a moment and ask again."""

    status = 429

    def __init__(self, levels: Sequence[Level]) -> None:
        """Say how long to wait for the fullest bucket."""
        fullest = max(levels, key=lambda level: level.wait_s)
        self.levels = levels
        self.retry_after = max(1, ceil(fullest.wait_s))
        unit = "second" if self.retry_after == 1 else "seconds"
        super().__init__(
            f"That is too often. Wait {self.retry_after} {unit}, then try again.",
            limit=fullest.bucket.name,
            retry_after=self.retry_after,
        )

    @property
    def headers(self) -> dict[str, str]:
        """Say how the limits stand, besides how long to wait."""
        return {**super().headers, **headers(self.levels)}


def fill(buckets: Sequence[Bucket], *, forced: bool = False) -> list[Level]:
    """Let one call fill its buckets; none where Redis is away, or there is nothing to count.

    :param forced: let it through whatever the levels, and count it all the same
    :raises TooManyCalls: if one of them has no room; then none is filled
    """
    if not buckets or _outage.is_on():
        return []
    arguments = [int(forced)]
    for bucket in buckets:
        arguments += [bucket.capacity, round(1_000_000 / bucket.per_second), bucket.cost]
    try:
        with patience.waiting():
            told = _script()(keys=[f"limit:{b.name}:{b.key}" for b in buckets], args=arguments)
    except redis.RedisError as trouble:
        _outage.begin(trouble)
        return []
    levels = [
        Level(bucket, told[3 * i], told[3 * i + 1] / 1e6, told[3 * i + 2] / 1e6)
        for i, bucket in enumerate(buckets)
    ]
    if not forced and any(level.wait_s for level in levels):
        raise TooManyCalls(levels)
    return levels


def give_back(buckets: Sequence[Bucket]) -> None:
    """Take out of buckets what a call put in: it turned out to be none that is counted."""
    fill([replace(bucket, cost=-bucket.cost) for bucket in buckets], forced=True)


def headers(levels: Sequence[Level]) -> dict[str, str]:
    """Say policies and levels in the fields of draft-ietf-httpapi-ratelimit-headers-10."""
    if not levels:
        return {}
    policies = (f'"{b.name}";q={b.capacity};w={b.window_s}' for b in (x.bucket for x in levels))
    states = (f'"{x.bucket.name}";r={x.left};t={ceil(x.empty_in_s)}' for x in levels)
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}


class _Outage:
    """Whether Redis was away within the last second."""

    def __init__(self) -> None:
        self._until = 0.0

    def is_on(self) -> bool:
        return time.monotonic() < self._until

    def begin(self, trouble: Exception) -> None:
        logger.warning("nobody is limited, Redis is away: %s", trouble)
        self._until = time.monotonic() + AWAY_S


_outage = _Outage()


@cache
def _script() -> Any:
    """Give the script on a client that gives up soon and never tries twice."""
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PATIENCE_S,
        socket_connect_timeout=PATIENCE_S,
        retry=Retry(NoBackoff(), 0),
    )
    return client.register_script(FILL)
