"""Which silences keep orders away: nothing is queued for who does not answer."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from common import database, heartbeats

AGES = """
    SELECT s.id, h.part, extract(epoch FROM clock_timestamp() - h.at)::float8
    FROM trading_shard s LEFT JOIN common_heartbeat h ON h.part = 'engine:' || s.name
    WHERE s.id = ANY (%s::bigint[])
    UNION ALL
    SELECT NULL, part, extract(epoch FROM clock_timestamp() - at)::float8
    FROM common_heartbeat WHERE part IN ('feed', 'settler')
"""


@dataclass(frozen=True, slots=True)
class Silence:
    """Who has not been heard of for `SILENCE_S`: engines by their shard, and the others by name."""

    engines: frozenset[int]
    others: frozenset[str]

    def before(self, *, shard: int, at_market: bool) -> str | None:
        """Name the part whose silence keeps an order away, if one does.

        :param at_market: whether it trades at once, at what the price is now
        """
        if shard in self.engines:
            return heartbeats.ENGINE
        return min(self.others, default=None) if at_market else None


def silence(shard_ids: Iterable[int]) -> Silence:
    """Ask who is silent: the engines of some shards, the feed, the settler."""
    shards = set(shard_ids)
    rows = database.prepared(AGES, [sorted(shards)])
    heard = {
        shard or part for shard, part, age in rows if age is not None and age <= settings.SILENCE_S
    }
    return Silence(
        engines=frozenset(shards - heard),
        others=frozenset({heartbeats.FEED, heartbeats.SETTLER} - heard),
    )
