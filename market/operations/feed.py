"""The feed process: each second reference prices go into their table and out, candles by minutes.

The table comes first: what is shown is never ahead of what an order is measured by.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction
from redis import RedisError

import instruments.queries
from common import database, realtime
from instruments.models import Instrument
from market import gateways, queries
from market.gateways import Listing, PriceFeed
from market.models import Candle, ReferencePrice
from market.operations.tape import split_tape
from market.rules import candles, sessions
from market.rules.candles import Bar
from market.rules.simulation import TickBar

logger = logging.getLogger(__name__)

PROCESS = "feed"
COMPUTE_EVERY = timedelta(seconds=15)  # the statistics of 24 hours
TOO_DEAR = 10**10  # dollars for one share: more than the table can hold
ONE_FEED = 0x6B72616B  # the advisory lock of the only feed

# Prices arrive as numbers of `tick`. A candle that is there keeps its open: it was begun before.
CANDLES = """
    INSERT INTO market_candle AS c (instrument_id, kind, interval, time, open, high, low, close,
                                    volume, turnover, trades, simulated)
    SELECT id, 'reference', interval, to_timestamp(time), open * %(tick)s::numeric,
           high * %(tick)s, low * %(tick)s, close * %(tick)s, 0, 0, 0, %(simulated)s
    FROM unnest(%(ids)s::bigint[], %(intervals)s::text[], %(times)s::bigint[],
                %(opens)s::numeric[], %(highs)s::numeric[], %(lows)s::numeric[],
                %(closes)s::numeric[]) AS b (id, interval, time, open, high, low, close)
    ON CONFLICT (instrument_id, kind, interval, time) DO UPDATE SET
        high = greatest(c.high, excluded.high), low = least(c.low, excluded.low),
        close = excluded.close
"""

ROLL_UP = """
    INSERT INTO market_candle AS c (instrument_id, kind, interval, time, open, high, low, close,
                                    volume, turnover, trades, simulated)
    SELECT instrument_id, 'reference', %(upper)s, date_bin(%(length)s, time, %(origin)s),
           (array_agg(open ORDER BY time))[1], max(high), min(low),
           (array_agg(close ORDER BY time DESC))[1], 0, 0, 0, bool_or(simulated)
    FROM market_candle
    WHERE instrument_id = ANY (%(ids)s) AND kind = 'reference' AND interval = %(lower)s
          AND time >= %(since)s
    GROUP BY 1, 4
    ON CONFLICT (instrument_id, kind, interval, time) DO UPDATE SET
        open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
        simulated = excluded.simulated
    WHERE (c.open, c.high, c.low, c.close)
          IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close)
"""

REFERENCES = """
    INSERT INTO market_referenceprice AS r (instrument_id, price, day_open, multiplier, simulated,
                                            at)
    SELECT id, price, day_open, multiplier, %(simulated)s::boolean, %(at)s::timestamptz
    FROM unnest(%(ids)s::bigint[], %(prices)s::numeric[], %(day_opens)s::numeric[],
                %(multipliers)s::numeric[]) AS p (id, price, day_open, multiplier)
    ON CONFLICT (instrument_id) DO UPDATE SET
        price = excluded.price, day_open = excluded.day_open, simulated = excluded.simulated,
        at = excluded.at
    WHERE r.multiplier = excluded.multiplier
"""


def start_feed(*, now: datetime) -> "FeedRun":
    """Begin to follow the listed instruments, from the last known price of each.

    What happened to them since then is filled in first, where the feed knows or simulates it. The
    past of instruments that have none is made later, between the ticks.
    """
    feed = gateways.feed(
        settings.PRICE_FEED, seed=settings.SIMULATION_SEED, kraken_url=settings.KRAKEN_WS_URL
    )
    listed = {instrument.symbol: instrument for instrument in instruments.queries.listed()}
    stored = {
        row.instrument_id: row for row in ReferencePrice.objects.filter(simulated=feed.simulated)
    }
    with_past = _with_past(now)
    prices = {
        symbol: instrument.quoted(
            stored[instrument.pk].price if instrument.pk in stored else instrument.demo_price
        )
        for symbol, instrument in listed.items()
        if instrument.pk in stored or feed.simulated
    }
    listings = {
        symbol: _listing(
            instrument,
            prices.get(symbol, instrument.demo_price),
            stored[instrument.pk].at
            if instrument.pk in stored and instrument.pk in with_past
            else None,
        )
        for symbol, instrument in listed.items()
    }
    known = [listing for listing in listings.values() if listing.since]
    for symbol, bars in feed.history(known, now=now):
        realtime.beat(PROCESS)
        if bars:
            _store_past(instrument=listed[symbol], bars=bars, simulated=feed.simulated)
            prices[symbol] = listed[symbol].quoted(bars[-1].close * listed[symbol].tick_size)
            listings[symbol] = replace(listings[symbol], price=prices[symbol])
    feed.open(list(listings.values()), now=now)
    new = [listing for listing in listings.values() if not listing.since]
    return FeedRun(
        feed=feed, listed=listed, prices=prices, past=feed.history(new, now=now), now=now
    )


def _listing(instrument: Instrument, price: Decimal, since: datetime | None) -> Listing:
    return Listing(
        symbol=instrument.symbol,
        kind=instrument.type,
        hours=instrument.hours,
        tick_size=instrument.tick_size,
        price=price,
        since=since,
    )


def _with_past(now: datetime) -> set[int]:
    """Give the ids of instruments that have candles of earlier days."""
    yesterday = candles.begin("1d", now) - candles.LENGTHS["1d"]
    found = Candle.objects.filter(
        kind=Candle.Kind.REFERENCE, interval=Candle.Interval.D1, time__lt=yesterday
    )
    return set(found.values_list("instrument_id", flat=True).distinct())


@transaction.atomic
def _store_past(*, instrument: Instrument, bars: Sequence[TickBar], simulated: bool) -> None:
    """Write an instrument's past candles and roll them up."""
    columns = _columns((instrument.pk, bar.interval, bar) for bar in bars)
    with connection.cursor() as cursor:
        cursor.execute(CANDLES, {**columns, "tick": instrument.tick_size, "simulated": simulated})
        _roll_up(cursor, ids=[instrument.pk], since=bars[0].time)


@transaction.atomic
def store_minutes(*, bars: Sequence[tuple[int, Bar]], simulated: bool) -> None:
    """Write candles of minutes that are over, by instrument id, and roll them up.

    Safe to repeat, and to be called again for the rest of a minute that a restart cut in two.
    """
    if not bars:
        return
    columns = _columns((pk, "1m", bar) for pk, bar in bars)
    with connection.cursor() as cursor:
        cursor.execute(CANDLES, {**columns, "tick": 1, "simulated": simulated})
        ids = sorted({pk for pk, _ in bars})
        _roll_up(cursor, ids=ids, since=min(bar.time for _, bar in bars))


def _columns(rows: Iterable[tuple[int, str, Bar | TickBar]]) -> dict[str, str]:
    """Write (instrument id, interval, bar) as the arrays of CANDLES.

    As literals: binding half a million numbers one by one would take longer than storing them.
    """
    columns = zip(
        *(
            (pk, interval, int(bar.time.timestamp()), bar.open, bar.high, bar.low, bar.close)
            for pk, interval, bar in rows
        ),
        strict=True,
    )
    names = ("ids", "intervals", "times", "opens", "highs", "lows", "closes")
    return {
        name: "{" + ",".join(map(str, column)) + "}"
        for name, column in zip(names, columns, strict=True)
    }


def _roll_up(cursor: Any, *, ids: list[int], since: datetime) -> None:
    """Make the candles of each interval from those of the interval below, from a time on."""
    for lower, upper in candles.LADDER:
        params: dict[str, Any] = {
            "ids": ids,
            "lower": lower,
            "upper": upper,
            "length": candles.LENGTHS[upper],
            "origin": candles.ORIGIN,
            "since": candles.begin(upper, since),
        }
        cursor.execute(ROLL_UP, params)


def write_references(
    *, prices: dict[int, tuple[Decimal, Decimal, Decimal]], simulated: bool, now: datetime
) -> None:
    """Store the newest prices by instrument id.

    :param prices: each with that of 24 hours ago, and the multiplier that both count by: where it
        has become another one since, nothing is stored
    """
    params: dict[str, Any] = {
        "ids": list(prices),
        "prices": [price for price, _, _ in prices.values()],
        "day_opens": [day_open for _, day_open, _ in prices.values()],
        "multipliers": [multiplier for _, _, multiplier in prices.values()],
        "simulated": simulated,
        "at": now,
    }
    database.prepared(REFERENCES, params)


def become_only_feed() -> bool:
    """Take the lock of the only feed; say whether it was free. It is held until we disconnect."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ONE_FEED])
        return bool(cursor.fetchone()[0])


class FeedRun:
    """The feed while it runs: what it said last, and the minute that is forming."""

    def __init__(
        self,
        *,
        feed: PriceFeed,
        listed: dict[str, Instrument],
        prices: dict[str, Decimal],
        past: Iterator[tuple[str, list[TickBar]]],
        now: datetime,
    ) -> None:
        """Begin with the last known prices by symbol, and a past that is still to be stored."""
        self._feed = feed
        self._listed = listed
        self._prices = prices
        self._past = past
        self._days: dict[str, queries.Day] = {}
        self._bars: dict[str, Bar] = {}
        self._minute = candles.begin("1m", now)
        self._computed_at: datetime | None = None
        self._was_live = True
        self._begin_minute()

    def tick(self, *, now: datetime) -> dict[str, Decimal]:
        """Take the feed's new prices, publish them, and store what is due; give what changed.

        A feed that cannot be believed publishes nothing and gives no sign of life.
        """
        if not self._is_live(now):
            return {}
        changed = self._feed.prices(now=now)
        if candles.begin("1m", now) > self._minute:
            self._end_minute(now)
        self._store_told()
        changed = self._quoted(changed)
        for symbol, price in changed.items():
            self._prices[symbol] = price
            self._bar(symbol, price).add(price)
        announce = changed if self._computed_at else self._prices
        self._store_references(now)
        if self._computed_at is None or now - self._computed_at >= COMPUTE_EVERY:
            self._compute_days(now)
            self._keep_all(now)
        self._publish(announce, now)
        return changed

    @property
    def is_believed(self) -> bool:
        """Whether the last tick had a feed that can be believed."""
        return self._was_live

    def fill_past(self) -> bool:
        """Store the past of one more instrument; say whether there was one left.

        Each is written in a transaction of its own, so a start that is cut off goes on there.
        """
        for symbol, bars in self._past:
            if bars:
                _store_past(
                    instrument=self._listed[symbol], bars=bars, simulated=self._feed.simulated
                )
            return True
        return False

    def follows_what_is_listed(self) -> bool:
        """Tell whether the instruments listed now are those it began with, and count as then."""
        now_listed = dict(instruments.queries.listed().values_list("pk", "multiplier"))
        return now_listed == {one.pk: one.multiplier for one in self._listed.values()}

    def stop(self, *, now: datetime) -> None:
        """Store what is not stored yet."""
        self._feed.close()
        self._store_bars()

    def _quoted(self, prices: dict[str, Decimal]) -> dict[str, Decimal]:
        """Round prices to their ticks; what is no price then, like nothing, is left out."""
        quoted = {
            symbol: self._listed[symbol].quoted(price)
            for symbol, price in prices.items()
            if price < TOO_DEAR
        }
        return {symbol: price for symbol, price in quoted.items() if price > 0}

    def _is_live(self, now: datetime) -> bool:
        live = self._feed.is_live(now=now)
        if live != self._was_live:
            logger.warning("the feed is %s", "live again" if live else "silent: prices are stale")
        self._was_live = live
        return live

    def _bar(self, symbol: str, price: Decimal) -> Bar:
        if symbol not in self._bars:
            self._bars[symbol] = Bar.at(self._minute, price)
        return self._bars[symbol]

    def _begin_minute(self) -> None:
        """Open a bar for each instrument that trades, at its last price."""
        is_open = {
            hours: sessions.is_open(hours, self._minute)
            for hours in (sessions.ALWAYS, sessions.WEEKDAYS)
        }
        self._bars = {
            symbol: Bar.at(self._minute, price)
            for symbol, price in self._prices.items()
            if is_open[self._listed[symbol].hours]
        }

    def _end_minute(self, now: datetime) -> None:
        self._store_bars()
        self._minute = candles.begin("1m", now)
        self._begin_minute()

    def _store_bars(self) -> None:
        now = dict(Instrument.objects.values_list("pk", "multiplier"))
        bars = [
            (self._listed[symbol].pk, bar)
            for symbol, bar in self._bars.items()
            if now.get(self._listed[symbol].pk) == self._listed[symbol].multiplier
        ]
        store_minutes(bars=bars, simulated=self._feed.simulated)

    def _store_told(self) -> None:
        """Store the minutes that the source itself told, except the one that is forming."""
        last = {  # of one minute told several times, what was told last
            (self._listed[symbol].pk, bar.time): bar
            for symbol, told in self._feed.candles().items()
            for bar in told
            if bar.time < self._minute
        }
        if last:
            bars = [(pk, bar) for (pk, _), bar in last.items()]
            store_minutes(bars=bars, simulated=self._feed.simulated)

    def _compute_days(self, now: datetime) -> None:
        """Compute the last 24 hours anew; the next prices are stored with what they began at."""
        priced = [self._listed[symbol] for symbol in self._prices]
        days = queries.statistics(priced, now=now)
        self._publish_days(days)
        self._days = days
        self._computed_at = now

    def _store_references(self, now: datetime) -> None:
        """Store all prices, also those that stand still; what the feed doubts grows old."""
        prices = {
            self._listed[symbol].pk: (
                price,
                self._days[symbol].open if symbol in self._days else price,
                self._listed[symbol].multiplier,
            )
            for symbol, price in self._prices.items()
            if symbol not in self._feed.doubted()
        }
        write_references(prices=prices, simulated=self._feed.simulated, now=now)

    def _publish(self, prices: dict[str, Decimal], now: datetime) -> None:
        """Tell every process the prices, and leave them in Redis for late joiners.

        Said each second, even where nothing changed: silence means that prices are stale. So is
        what the feed itself doubts; such a price keeps the time at which it was last believed.
        """
        doubted = self._feed.doubted()
        prices = {symbol: price for symbol, price in prices.items() if symbol not in doubted}
        at = now.isoformat(timespec="milliseconds")
        texts = {symbol: f"{price:f}" for symbol, price in prices.items()}
        realtime.publish_market(
            {
                "kind": "reference",
                "time": at,
                "prices": texts,
                "doubted": sorted(doubted),
                "multipliers": self._multipliers(texts),
            }
        )
        vouched = json.dumps(
            {"time": at, "simulated": self._feed.simulated, "doubted": sorted(doubted)}
        )
        entries = _entries(texts, at, self._multipliers(texts))
        _keep(queries.REFERENCE_KEY, entries, {queries.FEED_KEY: vouched})
        realtime.beat(PROCESS)

    def _keep_all(self, now: datetime) -> None:
        """Leave every price in Redis, which may have lost those that stand still."""
        doubted = self._feed.doubted()
        texts = {s: f"{price:f}" for s, price in self._prices.items() if s not in doubted}
        at = now.isoformat(timespec="milliseconds")
        _keep(queries.REFERENCE_KEY, _entries(texts, at, self._multipliers(texts)))

    def _multipliers(self, symbols: Iterable[str]) -> dict[str, str]:
        """Say by which multipliers prices count, where that is not 1."""
        listed = {symbol: self._listed[symbol].multiplier for symbol in symbols}
        return {symbol: f"{one:f}" for symbol, one in listed.items() if one != 1}

    def _publish_days(self, days: dict[str, queries.Day]) -> None:
        """Tell every process the changed statistics, and leave all of them in Redis."""
        fresh = {symbol: day for symbol, day in days.items() if self._days.get(symbol) != day}
        if fresh:
            told = {symbol: self._day_entry(symbol, day) for symbol, day in fresh.items()}
            realtime.publish_market({"kind": "statistics", "days": told})
        entries = {symbol: json.dumps(self._day_entry(symbol, d)) for symbol, d in days.items()}
        _keep(queries.DAY_KEY, entries)

    def _day_entry(self, symbol: str, day: queries.Day) -> dict[str, str | None]:
        quoted = self._listed[symbol].quoted
        return {
            "open": f"{quoted(day.open):f}",
            "high": f"{quoted(day.high):f}",
            "low": f"{quoted(day.low):f}",
            "volume": f"{day.volume:f}",
            "vwap": f"{day.vwap:.6f}" if day.vwap is not None else None,
            "multiplier": f"{self._listed[symbol].multiplier:f}",
        }


def _entries(prices: dict[str, str], at: str, multipliers: dict[str, str]) -> dict[str, str]:
    """Write prices as the hash of references holds them."""
    entries = {
        symbol: {"price": price, "time": at, "multiplier": multipliers.get(symbol, "1")}
        for symbol, price in prices.items()
    }
    return {symbol: json.dumps(entry, separators=(",", ":")) for symbol, entry in entries.items()}


def _keep(key: str, entries: dict[Any, Any], values: dict[str, str] | None = None) -> None:
    """Leave the entries in a hash, and other keys beside it, in one round trip."""
    pipe = realtime.connection().pipeline(transaction=False)
    if entries:
        pipe.hset(key, mapping=entries)
    for name, value in (values or {}).items():
        pipe.set(name, value)
    try:
        pipe.execute()
    except RedisError:
        logger.warning("%s not refreshed: Redis is away", key)


def follow_multiplier(
    *, instrument_id: int, before: Decimal, after: Decimal, splits: bool, at: datetime
) -> None:
    """Let the reference price and this week's candles count by another multiplier.

    In the transaction that changes it, so that nothing is worth more or less for a moment. The
    trades and candles of a week are rolled up into one, so they count alike; those of weeks before
    stay as they were, and who reads them adjusts them. A dividend changes no price.

    :param at: when it was ordered; a week may end before it is carried out
    """
    week = candles.begin("1w", at)
    ratio: dict[str, Any] = {"of": instrument_id, "before": before, "after": after, "week": week}
    if splits:
        with connection.cursor() as cursor:
            cursor.execute(RESCALE_CANDLES, ratio)
            cursor.execute(RESCALE_PRICE, ratio)
        split_tape(instrument_id=instrument_id, before=before, after=after, week=week)
    ReferencePrice.objects.filter(instrument=instrument_id).update(multiplier=after)
    told = {
        "kind": "multiplier",
        "symbol": Instrument.objects.get(pk=instrument_id).symbol,
        "multiplier": f"{after:f}",
    }
    transaction.on_commit(lambda: cache.delete(queries.LINKS_KEY), robust=True)
    transaction.on_commit(lambda: realtime.publish_market(told), robust=True)


RESCALE_PRICE = """
    UPDATE market_referenceprice
    SET price = greatest(round(price * %(before)s / %(after)s, 6), 0.000001),
        day_open = greatest(round(day_open * %(before)s / %(after)s, 6), 0.000001)
    WHERE instrument_id = %(of)s
"""

RESCALE_CANDLES = """
    UPDATE market_candle SET
        open = round(open * %(before)s / %(after)s, 6),
        high = round(high * %(before)s / %(after)s, 6),
        low = round(low * %(before)s / %(after)s, 6),
        close = round(close * %(before)s / %(after)s, 6)
    WHERE instrument_id = %(of)s AND kind = 'reference' AND time >= %(week)s
"""
