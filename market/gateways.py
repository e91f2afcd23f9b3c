"""Where reference prices come from, simulated or from Kraken; and the exchange's calendar."""

import json
import logging
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from market.rules import candles, simulation
from market.rules.books import BookCopy
from market.rules.candles import Bar
from market.rules.simulation import Simulator, TickBar, Walker

logger = logging.getLogger(__name__)

SILENCE_S = 10.0  # Kraken sends a heartbeat each second
LONGEST_WAIT_S = 30.0
BOOK_DEPTH = 10
NONSENSE = (ValueError, KeyError, TypeError, AttributeError, ArithmeticError)  # not as documented


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument as a feed knows it, at the last price we have of it.

    `since` is when that price was so; None if there never was one and the price is only a start.
    """

    symbol: str
    kind: str
    hours: str
    tick_size: Decimal
    price: Decimal
    since: datetime | None

    @property
    def ticks(self) -> int:
        """Give the price in ticks."""
        return round(self.price / self.tick_size)


class PriceFeed(Protocol):
    """A source of reference prices, asked once a second."""

    simulated: bool

    def history(
        self, listings: Sequence[Listing], *, now: datetime
    ) -> Iterator[tuple[str, list[TickBar]]]:
        """Give what happened to each instrument since its last price, oldest first.

        Nothing is given where nothing is known: a real feed invents no past.
        """
        ...

    def open(self, listings: Sequence[Listing], *, now: datetime) -> None:
        """Begin to follow these instruments."""
        ...

    def prices(self, *, now: datetime) -> dict[str, Decimal]:
        """Give the prices that changed since the last call, without waiting."""
        ...

    def candles(self) -> dict[str, list[Bar]]:
        """Give the candles of a minute that the source itself told since the last call."""
        ...

    def is_live(self, *, now: datetime) -> bool:
        """Tell whether what it last said can still be believed."""
        ...

    def doubted(self) -> set[str]:
        """Name the instruments whose last price must not be believed, though others' may."""
        ...

    def close(self) -> None:
        """End it."""
        ...


class SimulatedFeed:
    """Prices drawn from a seed, for a platform without internet; marked as simulated everywhere."""

    simulated = True

    def __init__(self, *, seed: str) -> None:
        """Take the seed that every price is drawn from."""
        self._seed = seed
        self._tick_sizes: dict[str, Decimal] = {}

    def history(
        self, listings: Sequence[Listing], *, now: datetime
    ) -> Iterator[tuple[str, list[TickBar]]]:
        """Make a year up to its price for a new instrument, the missing minutes for a known one."""
        plans: dict[tuple[str, datetime], list[simulation.Slot]] = {}
        for listing in listings:
            new = listing.since is None
            since = listing.since or now - simulation.HISTORY
            since = candles.begin("1d" if new else "1m", since)
            key = (listing.hours, since)
            if key not in plans:
                plans[key] = simulation.slots(
                    seed=self._seed, hours=listing.hours, since=since, now=now
                )
            bars = simulation.history(
                seed=self._seed, walker=_walker(listing), plan=plans[key], backward=new
            )
            yield listing.symbol, list(bars)

    def open(self, listings: Sequence[Listing], *, now: datetime) -> None:
        """Begin at the listings' prices."""
        self._tick_sizes = {listing.symbol: listing.tick_size for listing in listings}
        self._simulator = Simulator(
            seed=self._seed, walkers=[_walker(listing) for listing in listings], at=now
        )

    def prices(self, *, now: datetime) -> dict[str, Decimal]:
        """Move to now."""
        return {
            symbol: ticks * self._tick_sizes[symbol]
            for symbol, ticks in self._simulator.step(now).items()
        }

    def candles(self) -> dict[str, list[Bar]]:
        """Give none: they are made of its prices."""
        return {}

    def is_live(self, *, now: datetime) -> bool:
        """Answer yes: it cannot fall silent."""
        return True

    def doubted(self) -> set[str]:
        """Doubt nothing."""
        return set()

    def close(self) -> None:
        """Do nothing: there is nobody at the other end."""


def _walker(listing: Listing) -> Walker:
    return Walker(listing.symbol, listing.kind, listing.hours, listing.ticks)


class KrakenFeed:
    """Kraken's WebSocket v2: a thread keeps the newest price of each symbol, and its candles.

    The channel `ticker` gives prices, `ohlc` the minutes that were, also those before we came.
    `book` says whether a price can be believed: not while the book is crossed, nor while our copy
    fails its checksum; that book is then asked for again. It reconnects with a growing wait,
    subscribes anew, and is stale after ten seconds of silence. What it said on an earlier
    connection is doubted until it says something again.
    """

    simulated = False

    def __init__(self, *, url: str) -> None:
        """Take the address of the public socket."""
        self._url = url
        self._lock = threading.Lock()
        self._changed: dict[str, Decimal] = {}
        self._known: dict[str, Decimal] = {}
        self._candles: dict[str, list[Bar]] = {}
        self._heard: set[str] = set()  # on this connection
        self._wrong: set[str] = set()  # crossed, or not what its checksum says
        self._books: dict[str, BookCopy] = {}
        self._heard_at = float("-inf")
        self._stopping = threading.Event()
        self._socket: ClientConnection | None = None
        self._symbols: list[str] = []
        self._thread: threading.Thread | None = None

    def history(
        self, listings: Sequence[Listing], *, now: datetime
    ) -> Iterator[tuple[str, list[TickBar]]]:
        """Give nothing: what was not heard is not invented."""
        return iter(())

    def open(self, listings: Sequence[Listing], *, now: datetime) -> None:
        """Connect in the background."""
        self._symbols = [listing.symbol for listing in listings]
        self._thread = threading.Thread(target=self._run, name="kraken-feed", daemon=True)
        self._thread.start()

    def prices(self, *, now: datetime) -> dict[str, Decimal]:
        """Give what was heard since the last call, the newest price of each symbol."""
        with self._lock:
            changed, self._changed = self._changed, {}
        return changed

    def candles(self) -> dict[str, list[Bar]]:
        """Give the minutes that were heard since the last call; the last one may still form."""
        with self._lock:
            told, self._candles = self._candles, {}
        return told

    def is_live(self, *, now: datetime) -> bool:
        """Tell whether anything was heard within the last ten seconds."""
        return time.monotonic() - self._heard_at < SILENCE_S

    def doubted(self) -> set[str]:
        """Name those not heard of on this connection, and those whose book is wrong."""
        with self._lock:
            return set(self._symbols) - self._heard | self._wrong

    def close(self) -> None:
        """Hang up and wait for the thread."""
        self._stopping.set()
        if self._socket is not None:
            self._socket.close()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _run(self) -> None:
        wait_s = 1.0
        while not self._stopping.is_set():
            heard_before = self._heard_at
            try:
                self._listen()
            except (OSError, WebSocketException, TimeoutError, *NONSENSE) as error:
                logger.warning("Kraken's feed is away (%s); trying again in %.0f s", error, wait_s)
            wait_s = 1.0 if self._heard_at > heard_before else min(wait_s * 2, LONGEST_WAIT_S)
            self._stopping.wait(wait_s)

    def _listen(self) -> None:
        """Follow one connection until it ends.

        :raises TimeoutError: after ten seconds of silence
        """
        with self._lock:
            self._heard, self._wrong, self._books = set(), set(), {}
        with connect(self._url, open_timeout=10, close_timeout=1) as socket:
            self._socket = socket
            self._ask("subscribe", self._symbols, channel="ticker", event_trigger="bbo")
            self._ask("subscribe", self._symbols, channel="ohlc", interval=1)
            self._ask("subscribe", self._symbols, channel="book", depth=BOOK_DEPTH)
            while not self._stopping.is_set():
                text = socket.recv(timeout=SILENCE_S)
                self._hear(json.loads(text, parse_float=Decimal, parse_int=Decimal))

    def _ask(self, method: str, symbols: Sequence[str], **params: Any) -> None:
        params["symbol"] = [f"{symbol}/USD" for symbol in symbols]
        if method == "subscribe":
            params["snapshot"] = True
        if self._socket is not None:
            self._socket.send(json.dumps({"method": method, "params": params}))

    def _hear(self, message: Any) -> None:
        self._heard_at = time.monotonic()
        if message.get("success") is False:
            logger.warning("Kraken refuses %s: %s", message.get("symbol"), message.get("error"))
        hear = {"ticker": self._hear_price, "ohlc": self._hear_candle, "book": self._hear_book}
        for data in message.get("data", ()) if message.get("channel") in hear else ():
            with self._lock:
                hear[message["channel"]](data["symbol"].removesuffix("/USD"), message["type"], data)

    def _hear_price(self, symbol: str, _kind: str, data: Any) -> None:
        price = Decimal(data["last"])
        if price <= 0:
            return
        self._heard.add(symbol)
        if price != self._known.get(symbol):
            self._known[symbol] = self._changed[symbol] = price

    def _hear_candle(self, symbol: str, _kind: str, data: Any) -> None:
        if data["interval"] == 1:
            time_ = candles.begin("1m", datetime.fromisoformat(data["interval_begin"]))
            parts = (Decimal(data[name]) for name in ("open", "high", "low", "close"))
            self._candles.setdefault(symbol, []).append(Bar(time_, *parts))

    def _hear_book(self, symbol: str, kind: str, data: Any) -> None:
        book = self._books.setdefault(symbol, BookCopy(BOOK_DEPTH))
        right = book.take(kind, data)
        if right and not book.is_crossed:
            self._wrong.discard(symbol)
            return
        self._wrong.add(symbol)
        if not right:
            logger.warning("our copy of Kraken's book of %s is wrong; asking again", symbol)
            for method in ("unsubscribe", "subscribe"):
                self._ask(method, [symbol], channel="book", depth=BOOK_DEPTH)


def feed(name: str, *, seed: str, kraken_url: str) -> PriceFeed:
    """Choose a feed by its name in the settings.

    :raises ValueError: for an unknown one
    """
    if name == "simulated":
        return SimulatedFeed(seed=seed)
    if name == "kraken":
        return KrakenFeed(url=kraken_url)
    raise ValueError(f"PRICE_FEED is {name!r}; it can be 'simulated' or 'kraken'")


def exchange_hours(since: date, until: date) -> dict[date, tuple[datetime, datetime]]:
    """Give when New York's exchange opens and closes (UTC), by the days on which it does."""
    # Half a second and 80 MB, which no process that lives for long should pay.
    import exchange_calendars  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about what this library asks of it
        calendar = exchange_calendars.get_calendar("XNYS", start=since, end=until)
        return {
            row.Index.date(): (row.open.to_pydatetime(), row.close.to_pydatetime())
            for row in calendar.schedule.itertuples()
        }
