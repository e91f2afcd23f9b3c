"""One hub for each web process: it reads the market's Redis channel once, for all its sockets.

It keeps what every instrument is worth just now, makes each message once, and tells the outboxes
that follow a topic that there is news. It starts with the first socket of an event loop and ends
with the last. Where Redis goes away it tries again, and then starts from what Redis knows.
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import msgspec
import redis.asyncio as redis
from channels.db import database_sync_to_async
from django.conf import settings

import instruments.queries
from common import clock, heartbeats
from common.heartbeats import Part
from common.realtime import MARKET_CHANNEL
from instruments.models import Instrument
from market import queries
from market.consumers import messages, protocol
from market.consumers.markets import Market, past_candles, past_trades
from market.consumers.messages import (
    Book,
    Message,
    Multiplier,
    Reference,
    Statistics,
    Status,
    Trade,
)
from market.consumers.outbox import Outbox
from market.consumers.topics import (
    BookTopic,
    CandleTopic,
    InstrumentTopic,
    Key,
    TickerTopic,
    Topic,
    TradeTopic,
)
from market.rules import candles
from market.rules.candles import Bar

logger = logging.getLogger(__name__)

CONFLATE_S = 0.02  # a topic's updates come at most this often
PULSE_S = 1.0
WATCH_S = 0.5
WATCH = ThreadPoolExecutor(1, thread_name_prefix="hub-watch")
CATCH_UP_S = 2.0  # how long a first socket waits for Redis
STALE_AFTER = timedelta(seconds=4)  # without a word of the feed; a pulse later everybody knows
RELIST_EVERY = 300  # pulses
LONGEST_WAIT_S = 5.0
UNITS = ("trade", "ohlc")  # channels that tell the past in shares
DEPTHS = (10, 25, 100, 500, 1000)


class Hub:
    """Everything public, for the sockets of one event loop."""

    _hubs: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, "Hub"]] = WeakKeyDictionary()

    @classmethod
    def here(cls) -> "Hub":
        """Give the hub of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in cls._hubs:
            cls._hubs[loop] = cls()
        return cls._hubs[loop]

    def __init__(self) -> None:
        """Begin asleep."""
        self.markets: dict[str, Market] = {}
        self.parts: list[Part] = []  # of the platform, as they were when last looked at
        self._outboxes: set[Outbox] = set()
        self._topics: dict[Key, Topic] = {}
        self._loading: dict[Key, asyncio.Future[Topic]] = {}
        self._touched: dict[Topic, None] = {}
        self._flush_at: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._listed: asyncio.Future[None] | None = None
        self._caught_up = asyncio.Event()
        self._vouched_at: datetime | None = None
        self._is_simulated = False
        self._is_stale = True
        self._doubted: set[str] = set()
        self._renewing: dict[str, asyncio.Task[None]] = {}

    # Sockets come and go

    async def attach(self, outbox: Outbox) -> None:
        """Take in a socket; the first one starts the hub and waits until it knows the market.

        :raises Exception: what the database says, if the instruments cannot be read
        """
        self._outboxes.add(outbox)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._read_forever(), name="hub-reader"),
                asyncio.create_task(self._pulse_forever(), name="hub-pulse"),
                asyncio.create_task(self._watch_forever(), name="hub-watch"),
            ]
        if self._listed is None:
            self._listed = asyncio.ensure_future(self._list_instruments())
        try:
            await asyncio.shield(self._listed)
        except Exception:
            self._listed = None
            raise
        with suppress(TimeoutError):
            await asyncio.wait_for(self._caught_up.wait(), CATCH_UP_S)

    def detach(self, outbox: Outbox) -> None:
        """Let a socket go; the last one ends the hub."""
        for topic in list(outbox.versions):
            self.unsubscribe(outbox, topic.key)
        self._outboxes.discard(outbox)
        if self._outboxes:
            return
        for task in [*self._tasks, *self._renewing.values()]:
            task.cancel()
        if self._flush_at is not None:
            self._flush_at.cancel()
        self._hubs.pop(asyncio.get_running_loop(), None)

    async def subscribe(self, outbox: Outbox, key: Key, *, snapshot: bool) -> None:
        """Let a socket follow a topic."""
        topic = self._topics.get(key) or await self._load(key)
        topic = self._topics.setdefault(key, topic)
        topic.followers.add(outbox)
        outbox.follow(topic, snapshot=snapshot)

    def unsubscribe(self, outbox: Outbox, key: Key) -> None:
        """Let a socket follow a topic no longer; a topic without followers is forgotten."""
        topic = self._topics.get(key)
        if topic is None:
            return
        outbox.leave(topic)
        topic.followers.discard(outbox)
        if not topic.followers:
            del self._topics[key]
            self._touched.pop(topic, None)

    def follows(self, outbox: Outbox, key: Key) -> bool:
        """Tell whether a socket follows a topic."""
        return key in self._topics and self._topics[key] in outbox.versions

    # Topics are made when somebody asks

    async def _load(self, key: Key) -> Topic:
        """Make a topic; those who ask for the same one meanwhile wait for it."""
        if key not in self._loading:
            future = self._loading[key] = asyncio.ensure_future(self._make(key))
            future.add_done_callback(lambda _: self._loading.pop(key, None))
        return await asyncio.shield(self._loading[key])

    async def _make(self, key: Key) -> Topic:
        """Make a topic that hears of everything from the moment it is made."""
        topic = self._topics[key] = await self._build(key)
        return topic

    async def _build(self, key: Key) -> Topic:
        channel, symbol, _ = key
        if channel == "ticker":
            return TickerTopic(key, self._ticker)
        if channel == "instrument":
            return InstrumentTopic(key, self._instruments)
        market = self.markets[symbol]
        if channel == "book":
            return BookTopic(key, market.book)
        if channel == "trade":
            trades = TradeTopic(key)
            trades.load(await database_sync_to_async(past_trades)(market.instrument))
            trades.load(market.trades)
            return trades
        bars = CandleTopic(key)
        bars.load(await database_sync_to_async(past_candles)(market.instrument, bars.interval))
        if market.minute is not None:
            self._add_to_candle(bars, market.minute)
        return bars

    # What is heard

    async def _read_forever(self) -> None:
        wait_s = 0.2
        while True:
            try:
                async with redis.from_url(settings.REDIS_URL) as client, client.pubsub() as channel:
                    await channel.subscribe(MARKET_CHANNEL)
                    if self._listed is not None:
                        await asyncio.shield(self._listed)
                    if self.markets:
                        await self._catch_up(client)
                    self._caught_up.set()
                    wait_s = 0.2
                    async for heard in channel.listen():
                        if heard["type"] == "message":
                            self._hear(heard["data"])
            except (redis.RedisError, OSError) as error:
                logger.warning("the hub lost Redis (%s); trying again", error)
            except Exception:
                logger.exception("the hub stumbled; starting over")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _catch_up(self, client: Any) -> None:
        """Learn what Redis keeps for those who come late."""
        symbols = list(self.markets)
        pipe = client.pipeline(transaction=False)
        pipe.get(queries.FEED_KEY)
        for name in (queries.REFERENCE_KEY, queries.DAY_KEY, queries.LAST_KEY, queries.STATE_KEY):
            pipe.hmget(name, symbols)
        pipe.mget([queries.BOOK_KEY + symbol for symbol in symbols])
        feed, references, days, lasts, states, books = await pipe.execute()
        if feed:
            vouched = json.loads(feed)
            self._is_simulated = vouched["simulated"]
            self._doubted = set(vouched.get("doubted", ()))
            self._vouched_at = datetime.fromisoformat(vouched["time"])
            self._is_stale = clock.now() - self._vouched_at > STALE_AFTER
        columns = zip(symbols, references, days, lasts, states, books, strict=True)
        for symbol, reference, day, last, state, book in columns:
            self.markets[symbol].remember(reference, day, last, state)
            if book:
                self._hear(book)
            self._touch("ticker", symbol)

    def _hear(self, raw: bytes) -> None:
        """Take in one message of the market."""
        try:
            message: Message = messages.read(raw)
        except msgspec.DecodeError as error:
            logger.debug("not for the hub: %s", error)
            return
        if isinstance(message, Reference):
            self._hear_references(message)
        elif isinstance(message, Statistics):
            for symbol, day in message.days.items():
                if symbol in self.markets:
                    self.markets[symbol].hear_day(day)
                    self._touch("ticker", symbol)
        elif isinstance(message, Multiplier):
            self._renew_soon(message.symbol)
        elif message.symbol in self.markets:
            self._hear_of_one(self.markets[message.symbol], message)

    def _hear_references(self, message: Reference) -> None:
        self._vouched_at = at = datetime.fromisoformat(message.time)
        if self._is_stale:
            self._is_stale = False
            self._touch_all("ticker")
        self._hear_doubts(set(message.doubted))
        minute = candles.begin("1m", at)
        for symbol, text in message.prices.items():
            market = self.markets.get(symbol)
            if market is None:
                continue
            if not market.counts_by(message.multipliers.get(symbol)):
                self._renew_soon(symbol)
                continue
            market.reference = price = Decimal(text)
            if market.minute is None or market.minute.time != minute:
                market.minute = Bar.at(minute, price)
            market.minute.add(price)
            self._touch("ticker", symbol)
            for number in candles.BY_MINUTES:
                topic = self._topics.get(("ohlc", symbol, number))
                if isinstance(topic, CandleTopic):
                    self._add_to_candle(topic, market.minute)
                    self._touch(*topic.key)

    def _hear_doubts(self, doubted: set[str]) -> None:
        """Show as stale what the feed doubts, and no longer what it believes again."""
        for symbol in doubted ^ self._doubted:
            self._touch("ticker", symbol)
        self._doubted = doubted

    def _hear_of_one(self, market: Market, message: Book | Trade | Status) -> None:
        symbol = message.symbol
        if isinstance(message, Book):
            if (message.epoch, message.sequence) < (market.book.epoch, market.book.sequence):
                return
            top = (market.book.bids[:1], market.book.asks[:1])
            market.book = message
            for depth in DEPTHS:
                topic = self._topics.get(("book", symbol, depth))
                if isinstance(topic, BookTopic):
                    topic.newest = message
                    self._touch(*topic.key)
            if top != (message.bids[:1], message.asks[:1]):
                self._touch("ticker", symbol)
        elif isinstance(message, Trade):
            self._hear_trade(market, message)
        else:
            market.state = message.state
            self._touch("ticker", symbol)
            self._touch("instrument")

    def _hear_trade(self, market: Market, trade: Trade) -> None:
        market.trades.append(trade)
        market.last = Decimal(trade.price)
        tape = self._topics.get(("trade", trade.symbol, 0))
        if isinstance(tape, TradeTopic) and tape.add(trade):
            self._touch(*tape.key)
        self._touch("ticker", trade.symbol)
        for number in candles.BY_MINUTES:
            topic = self._topics.get(("ohlc", trade.symbol, number))
            if isinstance(topic, CandleTopic) and topic.last is not None:
                bar, quantity = topic.last, Decimal(trade.quantity)
                turnover = (bar["vwap"] or 0) * bar["volume"] + market.last * quantity
                bar["volume"] += quantity
                bar["vwap"] = round(turnover / bar["volume"], 6)
                bar["trades"] += 1
                self._touch(*topic.key)

    def _add_to_candle(self, topic: CandleTopic, minute: Bar) -> None:
        """Carry the forming minute into a candle of any interval."""
        begin = protocol.moment(candles.begin(topic.interval, minute.time))
        bar = topic.last
        if bar is None or bar["interval_begin"] < begin:
            topic.begin(
                {
                    "symbol": topic.pair,
                    "open": minute.open,
                    "high": minute.high,
                    "low": minute.low,
                    "close": minute.close,
                    "vwap": None,
                    "trades": 0,
                    "volume": Decimal(0),
                    "interval_begin": begin,
                    "interval": topic.key[2],
                    "timestamp": protocol.moment(minute.time),
                }
            )
        elif bar["interval_begin"] == begin:
            bar["high"] = max(bar["high"], minute.high)
            bar["low"] = min(bar["low"], minute.low)
            bar["close"] = minute.close

    # What goes out

    def _touch(self, channel: str, symbol: str = "", parameter: int = 0) -> None:
        """Note that a topic changed; its followers hear of it soon."""
        topic = self._topics.get((channel, symbol, parameter))
        if topic is None:
            return
        self._touched[topic] = None
        if self._flush_at is None:
            self._flush_at = asyncio.get_running_loop().call_later(0, self._flush)

    def _touch_all(self, channel: str) -> None:
        for key in list(self._topics):
            if key[0] == channel:
                self._touch(*key)

    def _flush(self) -> None:
        """Make the next versions; a topic that had one a moment ago waits for its turn."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        touched, self._touched = self._touched, {}
        for topic in touched:
            if topic.throttled and now - topic.advanced_at < CONFLATE_S:
                self._touched[topic] = None
                continue
            version, topic.advanced_at = topic.version, now
            topic.advance()
            if topic.version != version or not topic.throttled:
                for outbox in topic.followers:
                    outbox.notice(topic)
        self._flush_at = loop.call_later(CONFLATE_S, self._flush) if self._touched else None

    async def _pulse_forever(self) -> None:
        pulses = 0
        while True:
            await asyncio.sleep(PULSE_S)
            pulses += 1
            for outbox in list(self._outboxes):
                outbox.pulse()
            self._notice_silence()
            if pulses % RELIST_EVERY == 0:
                with suppress(Exception):  # the old list serves until the database is back
                    await self._list_instruments()

    async def _watch_forever(self) -> None:
        """Tell everybody when a part of the platform falls silent, and when it is heard again."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                parts = await asyncio.get_running_loop().run_in_executor(WATCH, heartbeats.look)
            except Exception:
                logger.exception("nobody watches the platform's parts just now")
                continue
            before, self.parts = _silent(self.parts), parts
            if _silent(parts) != before:
                for outbox in list(self._outboxes):
                    outbox.say(protocol.status(outbox.connection_id, parts))

    def _notice_silence(self) -> None:
        """Say that prices are old, once, when the feed has been silent for too long."""
        silent = self._vouched_at is None or clock.now() - self._vouched_at > STALE_AFTER
        if silent and not self._is_stale:
            self._is_stale = True
            self._touch_all("ticker")

    # What is said

    async def _list_instruments(self) -> None:
        for instrument in await database_sync_to_async(_listed)():
            known = self.markets.get(instrument.symbol)
            if known is None:
                self.markets[instrument.symbol] = Market.of(instrument)
            elif known.instrument.multiplier == instrument.multiplier:
                known.instrument = instrument
            else:
                self._renew_soon(instrument.symbol)

    def _renew_soon(self, symbol: str) -> None:
        """Look whether an instrument's multiplier has changed, unless that is being done."""
        if symbol in self.markets and symbol not in self._renewing:
            task = self._renewing[symbol] = asyncio.create_task(self._renew(symbol))
            task.add_done_callback(lambda _: self._renewing.pop(symbol, None))

    async def _renew(self, symbol: str) -> None:
        """Say an instrument's past anew, in shares of now, where its multiplier has changed."""
        try:
            instrument = await database_sync_to_async(_listed_as)(symbol)
            if instrument and instrument.multiplier != self.markets[symbol].instrument.multiplier:
                self.markets[symbol].begin_anew(instrument)
                self._touch("ticker", symbol)
                for key in [key for key in self._topics if key[0] in UNITS and key[1] == symbol]:
                    await self._replace(key)
        except Exception:
            logger.exception("%s is shown by its old multiplier; the next price asks again", symbol)

    async def _replace(self, key: Key) -> None:
        """Let the followers of a topic follow it as it is when built now."""
        old, fresh = self._topics[key], await self._build(key)
        if self._topics.get(key) is not old:
            return  # nobody follows it any more
        self._topics[key] = fresh
        for outbox in list(old.followers):
            outbox.leave(old)
            fresh.followers.add(outbox)
            outbox.follow(fresh, snapshot=True)

    def _ticker(self, symbol: str) -> dict[str, Any]:
        return self.markets[symbol].ticker(
            simulated=self._is_simulated,
            stale=self._is_stale or symbol in self._doubted,
            at=self._vouched_at or clock.now(),
        )

    def _instruments(self) -> dict[str, Any]:
        """Describe assets and pairs in Kraken's fields."""
        usd = {"id": "USD", "status": "enabled", "precision": 6, "precision_display": 2}
        tokens = [
            {"id": symbol, "status": "enabled", "precision": 8, "precision_display": 8}
            for symbol in self.markets
        ]
        return {"assets": [usd, *tokens], "pairs": [m.pair() for m in self.markets.values()]}


def _listed() -> list[Instrument]:
    return list(instruments.queries.listed().select_related("reference"))


def _listed_as(symbol: str) -> Instrument | None:
    return instruments.queries.listed().select_related("reference").filter(symbol=symbol).first()


def _silent(parts: Sequence[Part]) -> set[str]:
    return {part.name for part in parts if part.silent_since}
