"""Questions about the market: what it is worth, what it was worth, what may be had at what price.

Two kinds of questions ask for prices. Whatever moves money asks `references`, which reads the table
that the feed writes. What is only shown asks `tickers`, which reads Redis in one round trip,
whatever the number of instruments; where Redis is empty or away, the tables answer.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import QuerySet
from redis import RedisError

import instruments.queries
from common import clock, database, realtime
from common.invariants import Check
from instruments.models import Instrument
from instruments.rules import DIVIDEND, Timeline
from market.models import Candle, ExchangeDay, Star, TapeTrade
from market.rules import candles as intervals
from market.rules import checksum, sessions
from market.rules.sessions import Session
from users.models import User

logger = logging.getLogger(__name__)

# What is kept of a price says which multiplier it counts by; nothing said is 1.
REFERENCE_KEY = "market:reference"  # hash: symbol → {"price", "time", "multiplier"}
FEED_KEY = (
    "market:feed"  # {"time", "simulated", "doubted"}: when the feed last vouched, and for whom not
)
DAY_KEY = "market:day"  # hash: symbol → {"open", "high", "low", "volume", "vwap", "multiplier"}
LAST_KEY = "market:last"  # hash: symbol → {"price", "time", "multiplier"} of the last trade
STATE_KEY = "market:state"  # hash: symbol → the book's state, where it isn't online
LINKS_KEY = "market:links"  # in Django's cache: the list's rows as they were drawn
BOOK_KEY = "market:book:"  # + symbol: the engine's last book

ONLINE = "online"
MAX_CANDLES = 1000
AHEAD_S = 2  # the clocks of two machines differ by less


@dataclass(frozen=True, slots=True)
class Reference:
    """What one whole share is worth elsewhere; `at` is when the feed last vouched for it."""

    price: Decimal
    at: datetime
    simulated: bool
    multiplier: Decimal = Decimal(1)  # shares a base share that it counts by

    def counts_for(self, instrument: Instrument) -> bool:
        """Tell whether it goes with the multiplier of an instrument, which was read apart."""
        return self.multiplier == instrument.multiplier

    def is_fresh(self, *, now: datetime, max_age_s: float) -> bool:
        """Tell whether the price is recent enough to act on; one of the future is not."""
        return -AHEAD_S <= (now - self.at).total_seconds() <= max_age_s


@dataclass(frozen=True, slots=True)
class Day:
    """The reference price 24 hours ago and its extremes since, and what was traded here.

    Hours of a closed session do not count for the price: on Sunday a share is compared with
    Thursday night. They count for what was traded.
    """

    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal  # shares
    vwap: Decimal | None  # None where nothing was traded


@dataclass(frozen=True, slots=True)
class Ticker:
    """An instrument's market in one line; None is "not known" or "there is none"."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    reference_price: Decimal | None
    change_24h: Decimal | None
    change_24h_pct: Decimal | None
    high_24h: Decimal | None
    low_24h: Decimal | None
    volume_24h: Decimal
    state: str
    session: str  # "open" or "closed"
    simulated: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class BookView:
    """The best levels of a book: (price, shares) as decimal strings, best first."""

    symbol: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    sequence: int
    at: str | None

    @property
    def checksum(self) -> int:
        """Sum up the ten best levels as Kraken does."""
        return checksum.book_checksum(bids=self.bids, asks=self.asks)


@dataclass(frozen=True, slots=True)
class CandleView:
    """A candle of the reference price, with what was traded here in its time."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal
    trades: int
    simulated: bool


@dataclass(frozen=True, slots=True)
class TradeView:
    """A trade of the tape, in shares of now or of its own time."""

    uid: UUID
    price: Decimal
    quantity: Decimal
    side: str
    at: datetime
    simulated: bool


def session(instrument: Instrument, now: datetime) -> Session:
    """Tell whether an instrument trades now, and when that changes next."""
    return sessions.session_at(instrument.hours, now)


def primary_is_open(now: datetime) -> bool:
    """Tell whether the shares' own exchange is open; where its calendar ends, by regular hours."""
    try:
        hours = _exchange_hours(now.astimezone(sessions.NEW_YORK).date())
    except ExchangeDay.DoesNotExist:
        return sessions.is_regular(now)
    return hours is not None and hours[0] <= now < hours[1]


def knows_exchange_day(moment: datetime) -> bool:
    """Tell whether the exchange's calendar reaches as far."""
    day = moment.astimezone(sessions.NEW_YORK).date()
    return ExchangeDay.objects.filter(date=day).exists()


@lru_cache(maxsize=4)
def _exchange_hours(day: date) -> tuple[datetime, datetime] | None:
    """Give a day's hours, read once by each process; None where the exchange stays closed.

    :raises ExchangeDay.DoesNotExist: if the calendar does not say; that is not remembered
    """
    known = ExchangeDay.objects.get(date=day)
    if known.opens_at is None or known.closes_at is None:
        return None
    return known.opens_at, known.closes_at


def reference_price(instrument: Instrument) -> Reference | None:
    """Give the reference price of one instrument, None before the feed's first word."""
    return references([instrument]).get(instrument.symbol)


def references(instruments: Sequence[Instrument]) -> dict[str, Reference]:
    """Give the reference prices by symbol, as the feed has stored them: what money goes by.

    An instrument without one is missing. Redis is not asked: who can write there moves no money.
    """
    if not instruments:
        return {}
    symbols = {instrument.pk: instrument.symbol for instrument in instruments}
    rows = database.prepared(
        "SELECT instrument_id, price, at, simulated, multiplier FROM market_referenceprice"
        " WHERE instrument_id = ANY (%s::bigint[])",
        [list(symbols)],
    )
    return {symbols[instrument_id]: Reference(*reference) for instrument_id, *reference in rows}


def tickers(instruments: Sequence[Instrument], *, books: bool = True) -> dict[str, Ticker]:
    """Give the tickers by symbol, in one round trip to Redis.

    :param books: whether bid and ask are wanted; without them it is quicker
    """
    if not instruments:
        return {}
    read = _read_redis(instruments, books=books) or _Read(
        references=_references_shown(instruments),
        days=statistics(instruments, now=clock.now()),
        last=_stored_last(instruments),
        states={},
        books={},
    )
    now = clock.now()
    return {instrument.symbol: _ticker(instrument, read, now) for instrument in instruments}


def book_of(symbol: str, depth: int = 10) -> BookView:
    """Give the best levels of a book; empty where the engine has not published one."""
    book: dict[str, Any] = {}
    try:
        if raw := realtime.connection().get(BOOK_KEY + symbol):
            book = json.loads(raw)
    except RedisError:
        logger.warning("no book of %s: Redis is away", symbol)
    return BookView(
        symbol=symbol,
        bids=[(price, quantity) for price, quantity in book.get("bids", [])[:depth]],
        asks=[(price, quantity) for price, quantity in book.get("asks", [])[:depth]],
        sequence=book.get("sequence", 0),
        at=book.get("time"),
    )


def candles(
    instrument: Instrument,
    interval: str,
    since: datetime | None = None,
    limit: int = MAX_CANDLES,
    *,
    kind: str = Candle.Kind.REFERENCE,
    adjusted: bool = True,
) -> list[CandleView]:
    """List candles, oldest first: from a time on, or the newest ones where none is given.

    Candles of the reference price carry the volume and the number of our own trades. `adjusted`
    are prices and volumes in shares of now; else each is in shares of its own time.
    """
    order = "ASC" if since else "DESC"
    query = f"""
        SELECT c.time, c.open, c.high, c.low, c.close, coalesce(t.volume, 0),
               coalesce(t.turnover, 0), coalesce(t.trades, 0), c.simulated
        FROM market_candle c
        LEFT JOIN market_candle t ON t.instrument_id = c.instrument_id AND t.kind = 'tape'
             AND t.interval = c.interval AND t.time = c.time
        WHERE c.instrument_id = %s AND c.kind = %s AND c.interval = %s
              AND c.time >= coalesce(%s, '-infinity'::timestamptz)
        ORDER BY c.time {order} LIMIT %s
    """  # noqa: S608 - the only thing filled in is ASC or DESC
    with connection.cursor() as cursor:
        cursor.execute(query, [instrument.pk, kind, interval, since, min(limit, MAX_CANDLES)])
        found = [CandleView(*row) for row in cursor.fetchall()]
    timeline = instruments.queries.timelines([instrument])[instrument.pk]
    if timeline.changes:
        found = [_in_shares_of(one, timeline, adjusted=adjusted) for one in found]
    return found if since else found[::-1]


def _in_shares_of(candle: CandleView, timeline: Timeline, *, adjusted: bool) -> CandleView:
    """Count a candle in shares of now, or of its own time."""
    ratio = _ratio(candle.time, timeline, adjusted=adjusted)
    if ratio == 1:
        return candle
    return replace(
        candle,
        open=scaled(candle.open, 1 / ratio),
        high=scaled(candle.high, 1 / ratio),
        low=scaled(candle.low, 1 / ratio),
        close=scaled(candle.close, 1 / ratio),
        volume=scaled(candle.volume, ratio),
    )


def _ratio(time: datetime, timeline: Timeline, *, adjusted: bool) -> Fraction:
    """Give how many shares of now, or of its own time, one share of what is stored is."""
    ratio = stored_ratio(time, timeline)
    return ratio if adjusted else ratio / timeline.split_since(time)


def stored_ratio(time: datetime, timeline: Timeline) -> Fraction:
    """Give how many shares of now one share of a stored candle or trade is.

    Those of a split's week are stored in new shares, those of before in their own.
    """
    factor = Fraction(1)
    for change in timeline.changes:
        if change.kind != DIVIDEND and time < intervals.begin("1w", change.at):
            factor *= Fraction(change.after) / Fraction(change.before)
    return factor


def scaled(value: Decimal, ratio: Fraction) -> Decimal:
    """Multiply by an exact ratio, with eight decimals."""
    exact = Fraction(value) * ratio
    return Decimal(round(exact * 10**8)).scaleb(-8)


def closes(
    of: Iterable[Instrument],
    interval: str,
    since: datetime,
    *,
    lines: Mapping[int, Timeline] | None = None,
) -> dict[int, list[tuple[datetime, Decimal]]]:
    """Give the closing reference prices since a time by instrument id, for shares of now.

    :param lines: their `instruments.queries.timelines`, where the caller has read them
    """
    listed = list(of)
    found: dict[int, list[tuple[datetime, Decimal]]] = {}
    rows = Candle.objects.filter(
        instrument__in=[instrument.pk for instrument in listed],
        kind=Candle.Kind.REFERENCE,
        interval=interval,
        time__gte=since,
    ).order_by("time")
    lines = instruments.queries.timelines(listed) if lines is None else lines
    for pk, time, close in rows.values_list("instrument_id", "time", "close"):
        found.setdefault(pk, []).append((time, _price(close, time, lines[pk])))
    return found


def _price(price: Decimal, time: datetime, timeline: Timeline) -> Decimal:
    """Give the price of a stored candle or trade in dollars for a share of now."""
    return scaled(price, 1 / stored_ratio(time, timeline)) if timeline.changes else price


def sparklines(
    of: Iterable[Instrument], points: int = 24, *, lines: Mapping[int, Timeline] | None = None
) -> dict[int, list[Decimal]]:
    """Give the last hourly closes by instrument id, oldest first, for shares of now.

    Hours of a closed session are not counted, so a share's line on Sunday is that of Friday.

    :param lines: their `instruments.queries.timelines`, where the caller has read them
    """
    query = """
        SELECT i.id, array_agg(c.close ORDER BY c.time), array_agg(c.time ORDER BY c.time)
        FROM unnest(%s::bigint[]) AS i (id)
        CROSS JOIN LATERAL (
            SELECT time, close FROM market_candle
            WHERE instrument_id = i.id AND kind = 'reference' AND interval = '1h'
            ORDER BY time DESC LIMIT %s
        ) AS c
        GROUP BY i.id
    """
    listed = list(of)
    lines = instruments.queries.timelines(listed) if lines is None else lines
    with connection.cursor() as cursor:
        cursor.execute(query, [[instrument.pk for instrument in listed], points])
        return {
            pk: [_price(*point, lines[pk]) for point in zip(closes, times, strict=True)]
            for pk, closes, times in cursor.fetchall()
        }


# Whoever has sold out is asked for their last sale alone: one look into an index.
POPULARITY = """
    WITH interested (instrument_id, customer_id) AS (
        SELECT i.id, a.owner_id
        FROM ledger_account a JOIN instruments_instrument i ON i.asset_id = a.asset_id
        JOIN users_user u ON u.id = a.owner_id AND NOT u.simulated
        WHERE a.role = 'customer' AND (a.posted > 0 OR %(since)s <= (
            SELECT j.occurred_at FROM ledger_journal j WHERE j.id = (
                SELECT t.journal_id FROM ledger_transfer t
                WHERE t.debit_id = a.id ORDER BY t.journal_id DESC LIMIT 1
            )
        ))
        UNION
        SELECT instrument_id, customer_id FROM market_star
    )
    SELECT instrument_id, count(*) FROM interested JOIN users_user u ON u.id = customer_id
    WHERE NOT u.simulated AND NOT u.is_staff GROUP BY 1
"""
POPULAR_FOR = timedelta(days=30)


def popularity(now: datetime) -> dict[int, int]:
    """Count the customers who hold, watch or traded an instrument within thirty days, by its id.

    Each customer counts once, however much they trade. Staff and simulated customers do not count.
    """
    return dict(database.prepared(POPULARITY, {"since": now - POPULAR_FOR}))


def tape(instrument: Instrument) -> QuerySet[TapeTrade]:
    """List an instrument's public trades as they are stored, newest first."""
    return TapeTrade.objects.filter(instrument=instrument).order_by("-at", "-id")


def tape_views(
    instrument: Instrument,
    trades: Iterable[TapeTrade],
    *,
    adjusted: bool = True,
    lines: Mapping[int, Timeline] | None = None,
) -> list[TradeView]:
    """Give trades of an instrument's tape, in their order.

    `adjusted` are prices and quantities in shares of now; else each is in shares of its own time.

    :param lines: its `instruments.queries.timelines`, where the caller has read them
    """
    lines = instruments.queries.timelines([instrument]) if lines is None else lines
    timeline = lines[instrument.pk]
    found = []
    for trade in trades:
        ratio = _ratio(trade.at, timeline, adjusted=adjusted)
        price, quantity = trade.price, trade.quantity
        if ratio != 1:
            price, quantity = scaled(price, 1 / ratio), scaled(quantity, ratio)
        found.append(TradeView(trade.uid, price, quantity, trade.side, trade.at, trade.simulated))
    return found


def last_trades(
    instrument: Instrument, limit: int, *, lines: Mapping[int, Timeline] | None = None
) -> list[TradeView]:
    """Give an instrument's newest public trades, newest first, in shares of now.

    :param lines: its `instruments.queries.timelines`, where the caller has read them
    """
    return tape_views(instrument, tape(instrument)[:limit], lines=lines)


def starred_by(user: User | AnonymousUser) -> set[int]:
    """Give the ids of the instruments that somebody watches; a stranger watches none."""
    if not user.is_authenticated:
        return set()
    return set(Star.objects.filter(customer=user).values_list("instrument_id", flat=True))


def watchlist_of(user: User) -> QuerySet[Instrument]:
    """List the instruments that a customer watches, the latest star first."""
    return Instrument.objects.filter(stars__customer=user, listed=True).order_by(
        "-stars__starred_at"
    )


def statistics(of: Iterable[Instrument], *, now: datetime) -> dict[str, Day]:
    """Compute the last 24 hours by symbol, from candles, in one query."""
    query = """
        SELECT i.symbol, coalesce(before.close, r.open, ref.day_open),
               greatest(r.high, before.close, ref.price), least(r.low, before.close, ref.price),
               coalesce(t.volume, 0), t.turnover / nullif(t.volume, 0)
        FROM instruments_instrument i
        JOIN market_referenceprice ref ON ref.instrument_id = i.id
        JOIN unnest(%(hours)s::text[], %(since)s::timestamptz[]) AS h (hours, since)
             ON h.hours = i.hours
        LEFT JOIN LATERAL (  -- of the week of a split and later, candles are in new shares
            SELECT date_bin('7 days', ordered_at, %(origin)s) AS since,
                   multiplier_before / multiplier_after AS ratio
            FROM instruments_corporateaction
            WHERE instrument_id = i.id AND kind <> 'dividend'
                  AND ordered_at >= %(day)s - interval '7 days'
            ORDER BY ordered_at DESC LIMIT 1
        ) AS split ON true
        LEFT JOIN LATERAL (
            SELECT close * CASE WHEN time < split.since THEN split.ratio ELSE 1 END AS close
            FROM market_candle
            WHERE instrument_id = i.id AND kind = 'reference' AND interval = '1m'
                  AND time < h.since ORDER BY time DESC LIMIT 1
        ) AS before ON true
        LEFT JOIN LATERAL (
            SELECT max(high * now.ratio) AS high, min(low * now.ratio) AS low,
                   (array_agg(open * now.ratio ORDER BY time))[1] AS open
            FROM market_candle CROSS JOIN LATERAL (
                SELECT CASE WHEN time < split.since THEN split.ratio ELSE 1 END AS ratio
            ) AS now
            WHERE instrument_id = i.id AND kind = 'reference' AND interval = '15m'
                  AND time >= h.since
        ) AS r ON true
        LEFT JOIN LATERAL (
            SELECT sum(volume / CASE WHEN time < split.since THEN split.ratio ELSE 1 END) AS volume,
                   sum(turnover) AS turnover
            FROM market_candle
            WHERE instrument_id = i.id AND kind = 'tape' AND interval = '1m' AND time >= %(day)s
        ) AS t ON true
        WHERE i.id = ANY (%(ids)s)
    """
    day = intervals.LENGTHS["1d"]
    params: dict[str, Any] = {
        "ids": [instrument.pk for instrument in of],
        "day": now - day,
        "origin": intervals.ORIGIN,
        "hours": list(Instrument.Hours.values),
        "since": [sessions.rewind(hours, now, day) for hours in Instrument.Hours.values],
    }
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return {row[0]: Day(*row[1:]) for row in cursor.fetchall()}


class _Tops(msgspec.Struct):
    """What a ticker needs of a book, however deep that is."""

    bids: list[tuple[str, str]] = []
    asks: list[tuple[str, str]] = []


_read_tops: msgspec.json.Decoder[_Tops] = msgspec.json.Decoder(_Tops)


@dataclass(slots=True)
class _Read:
    """Everything the tickers are made of, by symbol."""

    references: dict[str, Reference]
    days: dict[str, Day]
    last: dict[str, Decimal]
    states: dict[str, str]
    books: dict[str, _Tops]


def _references_shown(instruments: Sequence[Instrument]) -> dict[str, Reference]:
    """Give the stored reference prices that go with the multipliers of these instruments."""
    found = references(instruments)
    return {
        one.symbol: found[one.symbol]
        for one in instruments
        if one.symbol in found and found[one.symbol].counts_for(one)
    }


def _read_redis(instruments: Sequence[Instrument], *, books: bool) -> _Read | None:
    """Read what Redis knows; None where it is away or has not heard of the feed.

    A price that Redis has lost (it keeps nothing over a restart), or that counts by another
    multiplier than its instrument, comes from the table.
    """
    symbols = [instrument.symbol for instrument in instruments]
    pipe = realtime.connection().pipeline(transaction=False)
    pipe.get(FEED_KEY)
    for key in (REFERENCE_KEY, DAY_KEY, LAST_KEY, STATE_KEY):
        pipe.hmget(key, symbols)
    if books:
        pipe.mget([BOOK_KEY + symbol for symbol in symbols])
    try:
        feed, reference, day, last, state, *tops = pipe.execute()
    except RedisError:
        logger.warning("tickers from the tables: Redis is away")
        return None
    if feed is None or not any(reference):
        return None
    vouched = json.loads(feed)
    doubted = set(vouched.get("doubted", ()))
    prices, _ = _counting(instruments, reference)
    days, other_days = _counting(instruments, day)
    lasts, other_lasts = _counting(instruments, last)
    shown = {
        symbol: Reference(
            Decimal(entry["price"]),
            datetime.fromisoformat(
                entry["time"] if symbol in doubted else max(entry["time"], vouched["time"])
            ),
            vouched["simulated"],
        )
        for symbol, entry in prices.items()
    }
    if len(shown) < len(symbols):
        shown = _references_shown(instruments) | shown
    return _Read(
        references=shown,
        days={symbol: _day(entry) for symbol, entry in days.items()}
        | (statistics(other_days, now=clock.now()) if other_days else {}),
        last={symbol: Decimal(entry["price"]) for symbol, entry in lasts.items()}
        | (_stored_last(other_lasts) if other_lasts else {}),
        states={symbol: raw.decode() for symbol, raw in _known(symbols, state)},
        books={s: _read_tops.decode(raw) for s, raw in _known(symbols, tops[0] if tops else [])},
    )


def _counting(
    instruments: Sequence[Instrument], values: list[bytes | None]
) -> tuple[dict[str, dict[str, Any]], list[Instrument]]:
    """Read entries by symbol; name the instruments whose entry counts by another multiplier."""
    entries, others = {}, []
    for instrument, value in zip(instruments, values, strict=True):
        entry = json.loads(value) if value else None
        if entry and Decimal(entry.pop("multiplier", "1")) == instrument.multiplier:
            entries[instrument.symbol] = entry
        elif entry:
            others.append(instrument)
    return entries, others


def _known(symbols: list[str], values: list[bytes | None]) -> list[tuple[str, bytes]]:
    return [(s, value) for s, value in zip(symbols, values, strict=False) if value is not None]


def _day(entry: dict[str, str | None]) -> Day:
    return Day(**{name: None if text is None else Decimal(text) for name, text in entry.items()})  # type: ignore[arg-type]


def _stored_last(of: Iterable[Instrument]) -> dict[str, Decimal]:
    """Give the prices of the last trades by symbol, for shares of now."""
    query = """
        SELECT i.id, t.price, t.at FROM instruments_instrument i
        CROSS JOIN LATERAL (
            SELECT price, at FROM market_tapetrade WHERE instrument_id = i.id
            ORDER BY at DESC, id DESC LIMIT 1
        ) AS t
        WHERE i.id = ANY (%s)
    """
    listed = {instrument.pk: instrument for instrument in of}
    with connection.cursor() as cursor:
        cursor.execute(query, [list(listed)])
        rows = cursor.fetchall()
    lines = instruments.queries.timelines(listed[pk] for pk, _, _ in rows) if rows else {}
    return {listed[pk].symbol: _price(price, at, lines[pk]) for pk, price, at in rows}


def _ticker(instrument: Instrument, read: _Read, now: datetime) -> Ticker:
    symbol, quoted = instrument.symbol, instrument.quoted
    reference, day = read.references.get(symbol), read.days.get(symbol)
    book = read.books.get(symbol) or _Tops()
    last = read.last.get(symbol)
    change = quoted(reference.price - day.open) if reference and day else None
    return Ticker(
        symbol=symbol,
        bid=_best(book.bids),
        ask=_best(book.asks),
        last=last and quoted(last),
        reference_price=quoted(reference.price) if reference else None,
        change_24h=change,
        change_24h_pct=change_pct(change, day.open) if day else None,
        high_24h=quoted(max(day.high, reference.price)) if day and reference else None,
        low_24h=quoted(min(day.low, reference.price)) if day and reference else None,
        volume_24h=day.volume if day else Decimal(0),
        state=read.states.get(symbol, ONLINE),
        session="open" if sessions.is_open(instrument.hours, now) else "closed",
        simulated=reference.simulated if reference else False,
        at=reference.at if reference else None,
    )


def change_pct(change: Decimal | None, since: Decimal | None) -> Decimal | None:
    """Give a change in percent of what it was before, to two decimals; None is not known."""
    if change is None or not since:
        return None
    return (change * 100 / since).quantize(Decimal("0.01"))


def _best(levels: list[tuple[str, str]]) -> Decimal | None:
    return Decimal(levels[0][0]) if levels else None


TAPE_CANDLES = """
    WITH looked_at AS (
        SELECT * FROM unnest(%(names)s::text[], %(lengths)s::interval[], %(since)s::timestamptz[])
            AS i (name, length, since)
    ),
    made AS (
        SELECT t.instrument_id, i.name AS interval, date_bin(i.length, t.at, %(origin)s) AS time,
               sum(t.quantity) AS volume, sum(t.price * t.quantity) AS turnover,
               count(*) AS trades, max(t.price) AS high, min(t.price) AS low,
               (array_agg(t.price ORDER BY t.at, t.id))[1] AS open,
               (array_agg(t.price ORDER BY t.at DESC, t.id DESC))[1] AS close
        FROM market_tapetrade t
        JOIN looked_at i ON date_bin(i.length, t.at, %(origin)s) >= i.since
        GROUP BY 1, 2, 3
    ),
    kept AS (
        SELECT c.* FROM market_candle c
        JOIN looked_at i ON i.name = c.interval AND c.time >= i.since WHERE c.kind = 'tape'
    )
    SELECT format('instrument %%s, %%s from %%s: candle has %%s shares in %%s trades,'
                  ' tape %%s in %%s',
                  coalesce(k.instrument_id, m.instrument_id), coalesce(k.interval, m.interval),
                  coalesce(k.time, m.time), k.volume, k.trades, m.volume, m.trades)
    FROM kept k FULL JOIN made m
         ON (m.instrument_id, m.interval, m.time) = (k.instrument_id, k.interval, k.time)
    WHERE (k.volume, k.turnover, k.trades, k.open, k.high, k.low, k.close)
          IS DISTINCT FROM
          (m.volume, m.turnover, m.trades, m.open, m.high, m.low, m.close)
"""


def candles_unlike_the_tape() -> list[str]:
    """Say which candles are not the tape's, as far back as both are kept whole."""
    tape_days = settings.TAPE_KEPT_DAYS
    days = [min(settings.CANDLES_KEPT_DAYS.get(i, tape_days), tape_days) for i in intervals.LENGTHS]
    params: dict[str, Any] = {
        "names": list(intervals.LENGTHS),
        "lengths": list(intervals.LENGTHS.values()),
        "since": [clock.now() - timedelta(days=kept) for kept in days],
        "origin": intervals.ORIGIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(TAPE_CANDLES, params)
        return [row[0] for row in cursor.fetchall()]


# The invariants' numbers are those of docs/invariants.md.
CHECKS = [Check(29, "tape candles are the tape", find=candles_unlike_the_tape)]
