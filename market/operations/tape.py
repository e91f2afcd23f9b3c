"""The tape: what was traded here, and the candles made of it."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from redis import RedisError

import instruments.queries
from common import database, realtime
from instruments.models import Instrument
from instruments.rules import Timeline
from market import queries
from market.models import Candle, TapeTrade
from market.rules import candles

logger = logging.getLogger(__name__)

INTERVALS: dict[str, Any] = {
    "origin": candles.ORIGIN,
    "names": list(candles.LENGTHS),
    "lengths": list(candles.LENGTHS.values()),
}

# Rows come back only for trades that were not on the tape before.
INSERT = """
    INSERT INTO market_tapetrade (uid, instrument_id, price, quantity, side, at, simulated)
    SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::numeric[], %s::numeric[], %s::text[],
                         %s::timestamptz[], %s::boolean[])
    ON CONFLICT (uid) DO NOTHING
    RETURNING id
"""

# What a candle opens and closes with is looked up on the tape: settlement may take an older trade
# after a newer one.
CANDLES = """
    INSERT INTO market_candle AS c (instrument_id, kind, interval, time, open, high, low, close,
                                    volume, turnover, trades, simulated)
    SELECT b.instrument_id, 'tape', b.name, b.time, first.price,
           greatest(b.high, first.price, last.price), least(b.low, first.price, last.price),
           last.price, b.volume, b.turnover, b.trades, false
    FROM (
        SELECT t.instrument_id, i.name, i.length,
               date_bin(i.length, t.at, %(origin)s::timestamptz) AS time,
               max(t.price) AS high, min(t.price) AS low, sum(t.quantity) AS volume,
               sum(t.price * t.quantity) AS turnover, count(*) AS trades
        FROM market_tapetrade t
        CROSS JOIN unnest(%(names)s::text[], %(lengths)s::interval[]) AS i (name, length)
        WHERE t.id = ANY (%(ids)s::bigint[])
        GROUP BY 1, 2, 3, 4
    ) AS b
    CROSS JOIN LATERAL (
        SELECT price FROM market_tapetrade
        WHERE instrument_id = b.instrument_id AND at >= b.time ORDER BY at, id LIMIT 1
    ) AS first
    CROSS JOIN LATERAL (
        SELECT price FROM market_tapetrade
        WHERE instrument_id = b.instrument_id AND at < b.time + b.length
        ORDER BY at DESC, id DESC LIMIT 1
    ) AS last
    ORDER BY 1, 3, 4
    ON CONFLICT (instrument_id, kind, interval, time) DO UPDATE SET
        open = excluded.open, high = greatest(c.high, excluded.high),
        low = least(c.low, excluded.low), close = excluded.close,
        volume = c.volume + excluded.volume, turnover = c.turnover + excluded.turnover,
        trades = c.trades + excluded.trades
"""


@transaction.atomic(savepoint=False)
def record_trades(*, trades: Sequence[TapeTrade]) -> int:
    """Put settled trades on the tape and into its candles of every interval.

    Called in the transaction that settles them. A trade whose `uid` is on the tape already changes
    nothing.

    :param trades: unsaved rows with their instruments, any order; `quantity` in shares of their
        own time, `side` the taker's
    :return: how many were new
    """
    lines = instruments.queries.timelines({trade.instrument for trade in trades})
    rows = [_as_stored(trade, lines[trade.instrument_id]) for trade in trades]
    ids = [row[0] for row in database.prepared(INSERT, _columns(rows))]
    if ids:
        database.prepared(CANDLES, {"ids": ids, **INTERVALS})
        _remember_last(rows, lines)
    return len(ids)


def split_tape(*, instrument_id: int, before: Decimal, after: Decimal, week: datetime) -> None:
    """Count this week's tape, and its candles, in the shares of after a split.

    In the transaction that changes the multiplier. The candles are made anew from the trades, so
    that no rounding tells them apart.
    """
    ratio = {"of": instrument_id, "before": before, "after": after, "week": week}
    ids = [row[0] for row in database.prepared(RESCALE, ratio)]
    Candle.objects.filter(instrument=instrument_id, kind=Candle.Kind.TAPE, time__gte=week).delete()
    if ids:
        database.prepared(CANDLES, {"ids": ids, **INTERVALS})
    instrument = Instrument.objects.get(pk=instrument_id)
    if last := queries.tape(instrument).first():
        _remember_last([last], instruments.queries.timelines([instrument]))


RESCALE = """
    UPDATE market_tapetrade SET
        price = greatest(round(price * %(before)s::numeric / %(after)s::numeric, 6), 0.000001),
        quantity = greatest(round(quantity * %(after)s::numeric / %(before)s::numeric, 8),
                            0.00000001)
    WHERE instrument_id = %(of)s::bigint AND at >= %(week)s::timestamptz
    RETURNING id
"""


def _as_stored(trade: TapeTrade, timeline: Timeline) -> TapeTrade:
    """Count a trade in the shares of its week: one settled late may be older than a split in it."""
    ratio = timeline.split_since(trade.at) / queries.stored_ratio(trade.at, timeline)
    if ratio == 1:
        return trade
    return TapeTrade(
        uid=trade.uid,
        instrument=trade.instrument,
        price=queries.scaled(trade.price, 1 / ratio),
        quantity=queries.scaled(trade.quantity, ratio),
        side=trade.side,
        at=trade.at,
        simulated=trade.simulated,
    )


def _columns(trades: Sequence[TapeTrade]) -> list[list[Any]]:
    rows = [
        (t.uid, t.instrument_id, t.price, t.quantity, t.side, t.at, t.simulated) for t in trades
    ]
    return [list(column) for column in zip(*rows, strict=True)] or [[]] * 7


def _remember_last(trades: Sequence[TapeTrade], lines: Mapping[int, Timeline]) -> None:
    """Leave each instrument's last price in Redis after the commit, for every process's tickers."""
    prices: dict[Any, Any] = {
        trade.instrument.symbol: json.dumps(_last_entry(trade, lines[trade.instrument_id]))
        for trade in sorted(trades, key=lambda trade: trade.at)
    }
    transaction.on_commit(lambda: _keep_last(prices), robust=True)


def _last_entry(trade: TapeTrade, timeline: Timeline) -> dict[str, str]:
    ratio = queries.stored_ratio(trade.at, timeline)
    price = trade.price if ratio == 1 else queries.scaled(trade.price, 1 / ratio)
    return {
        "price": f"{price:f}",
        "time": trade.at.isoformat(),
        "multiplier": f"{timeline.now:f}",
    }


def _keep_last(prices: dict[Any, Any]) -> None:
    try:
        realtime.connection().hset(queries.LAST_KEY, mapping=prices)
    except RedisError:
        logger.warning("last prices not refreshed: Redis is away")
