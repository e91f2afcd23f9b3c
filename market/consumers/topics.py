"""What can be subscribed to: one topic for each channel, symbol and depth or interval.

A topic has a version. It gives a newcomer a snapshot, and whoever has an older version what leads
to the present one. Each text is made once, however many sockets it goes to.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from common import clock
from market.consumers import protocol
from market.consumers.messages import Book, Levels, Trade
from market.consumers.outbox import Outbox, TooSlow
from market.rules import candles
from market.rules.checksum import book_checksum

TRADES_SHOWN = 50
TRADES_KEPT = 500

Key = tuple[str, str, int]  # channel, symbol or "", depth or interval or 0


class Topic:
    """Something to follow."""

    channel: ClassVar[str]
    join: ClassVar[str | None] = None
    throttled: ClassVar[bool] = True  # conflated, or each update for itself

    def __init__(self, key: Key) -> None:
        """Begin without followers."""
        self.key = key
        self.version = 0
        self.followers: set[Outbox] = set()
        self.advanced_at = 0.0

    @property
    def pair(self) -> str:
        """Give the symbol as the socket names it."""
        return f"{self.key[1]}/USD"

    def advance(self) -> None:
        """Take in what changed, and become the next version if anything did."""
        self.version += 1

    def snapshot(self) -> list[str]:
        """Give the present state."""
        raise NotImplementedError

    def since(self, version: int) -> list[str]:
        """Give the updates that lead from a version to the present one.

        :raises TooSlow: if that is too long ago, and what came since must not be skipped
        """
        return []

    def message(self, kind: str, data: Any) -> str:
        """Write a message of this channel."""
        return protocol.encode({"channel": self.channel, "type": kind, "data": data})

    @staticmethod
    def join_updates(topics: Sequence["Topic"]) -> str:
        """Write the updates of several topics of one channel as one message."""
        raise NotImplementedError


class TickerTopic(Topic):
    """A market in one line; of several updates only the last one counts."""

    channel = "ticker"
    join = "ticker"

    def __init__(self, key: Key, describe: Any) -> None:
        """Take the function that gives the ticker's fields."""
        super().__init__(key)
        self._describe = describe
        self._item: tuple[int, str] = (-1, "")

    @property
    def item(self) -> str:
        """Give the ticker's JSON, made once a version."""
        if self._item[0] != self.version:
            self._item = (self.version, protocol.encode(self._describe(self.key[1])))
        return self._item[1]

    def snapshot(self) -> list[str]:
        """Give the ticker."""
        return [f'{{"channel":"ticker","type":"snapshot","data":[{self.item}]}}']

    @staticmethod
    def join_updates(topics: Iterable[Topic]) -> str:
        """Write the tickers of several symbols as one update."""
        items = ",".join(topic.item for topic in topics if isinstance(topic, TickerTopic))
        return f'{{"channel":"ticker","type":"update","data":[{items}]}}'


class BookTopic(Topic):
    """A book to some depth. Who missed an update gets a snapshot, so its copy is right again."""

    channel = "book"

    def __init__(self, key: Key, book: Book) -> None:
        """Begin with the present book."""
        super().__init__(key)
        self._take(book)
        self.newest = book
        self._update = ""
        self._snapshot: tuple[int, str] = (-1, "")

    def _take(self, book: Book) -> None:
        depth = self.key[2]
        self._bids, self._asks, self._time = book.bids[:depth], book.asks[:depth], book.time

    def advance(self) -> None:
        """Compare the newest book with what was sent, to this topic's depth."""
        bids, asks = self._bids, self._asks
        self._take(self.newest)
        changes = {"bids": changed(bids, self._bids), "asks": changed(asks, self._asks)}
        if not changes["bids"] and not changes["asks"]:
            return
        self.version += 1
        self._update = self.message("update", [self._data(**changes)])

    def snapshot(self) -> list[str]:
        """Give the whole book to this depth."""
        if self._snapshot[0] != self.version:
            data = self._data(bids=self._bids, asks=self._asks)
            self._snapshot = (self.version, self.message("snapshot", [data]))
        return [self._snapshot[1]]

    def since(self, version: int) -> list[str]:
        """Give the last update to whoever has the version before, else a snapshot."""
        if version == self.version:
            return []
        return [self._update] if version == self.version - 1 else self.snapshot()

    def _data(self, *, bids: Levels, asks: Levels) -> dict[str, Any]:
        return {
            "symbol": self.pair,
            "bids": [{"price": Decimal(price), "qty": Decimal(qty)} for price, qty in bids],
            "asks": [{"price": Decimal(price), "qty": Decimal(qty)} for price, qty in asks],
            "checksum": book_checksum(bids=self._bids, asks=self._asks),
            "timestamp": self._time or protocol.moment(clock.now()),
        }


def changed(before: Levels, after: Levels) -> Levels:
    """Give the levels that are new or changed, and with quantity 0 those that are gone."""
    if before == after:
        return []
    old, new = dict(before), dict(after)
    gone = [(price, "0.00000000") for price, _ in before if price not in new]
    return gone + [(price, qty) for price, qty in after if old.get(price) != qty]


class TradeTopic(Topic):
    """The tape: no trade is skipped."""

    channel = "trade"
    throttled = False

    def __init__(self, key: Key) -> None:
        """Begin with an empty tape; `load` gives the past."""
        super().__init__(key)
        self._tape: deque[str] = deque(maxlen=TRADES_KEPT)
        self._seen: set[str] = set()

    def load(self, trades: Iterable[Trade]) -> None:
        """Take the past, oldest first; a trade that is known already is left out."""
        for trade in trades:
            self.add(trade)

    def add(self, trade: Trade) -> bool:
        """Put a trade on the tape, once; say whether it was new."""
        if trade.trade_id in self._seen:
            return False
        if len(self._seen) > 4 * TRADES_KEPT:
            self._seen.clear()
        self._seen.add(trade.trade_id)
        self._tape.append(
            protocol.encode(
                {
                    "symbol": self.pair,
                    "side": trade.side,
                    "price": Decimal(trade.price),
                    "qty": Decimal(trade.quantity),
                    "trade_id": trade.trade_id,
                    "timestamp": trade.time,
                    "simulated": trade.simulated,
                }
            )
        )
        self.version += 1
        return True

    def advance(self) -> None:
        """Do nothing: adding a trade made the version."""

    def snapshot(self) -> list[str]:
        """Give the last fifty trades, oldest first."""
        return [self._write("snapshot", list(self._tape)[-TRADES_SHOWN:])]

    def since(self, version: int) -> list[str]:
        """Give every trade since a version."""
        missed = self.version - version
        if missed > len(self._tape):
            raise TooSlow
        return [self._write("update", list(self._tape)[-missed:])] if missed else []

    @staticmethod
    def _write(kind: str, items: list[str]) -> str:
        return f'{{"channel":"trade","type":"{kind}","data":[{",".join(items)}]}}'


class CandleTopic(Topic):
    """Candles of one interval: the forming one is sent whenever it changes."""

    channel = "ohlc"

    def __init__(self, key: Key) -> None:
        """Begin without candles; `load` gives the past."""
        super().__init__(key)
        self.interval = candles.BY_MINUTES[key[2]]
        self._bars: deque[dict[str, Any]] = deque(maxlen=120)
        self._update: tuple[int, str] = (-1, "")

    def load(self, bars: Iterable[dict[str, Any]]) -> None:
        """Take the past, oldest first."""
        self._bars.extend(bars)

    @property
    def last(self) -> dict[str, Any] | None:
        """Give the newest candle."""
        return self._bars[-1] if self._bars else None

    def begin(self, bar: dict[str, Any]) -> None:
        """Go on to the next candle."""
        self._bars.append(bar)

    def snapshot(self) -> list[str]:
        """Give the past and the forming candle."""
        return [self.message("snapshot", list(self._bars))]

    def since(self, version: int) -> list[str]:
        """Give the forming candle."""
        if version == self.version or not self._bars:
            return []
        if self._update[0] != self.version:
            self._update = (self.version, self.message("update", [self._bars[-1]]))
        return [self._update[1]]


class InstrumentTopic(Topic):
    """What can be traded, and by which rules."""

    channel = "instrument"

    def __init__(self, key: Key, describe: Any) -> None:
        """Take the function that gives assets and pairs."""
        super().__init__(key)
        self._describe = describe

    def snapshot(self) -> list[str]:
        """Give all assets and pairs."""
        return [self.message("snapshot", self._describe())]

    def since(self, version: int) -> list[str]:
        """Give them all again: it happens seldom."""
        return [self.message("update", self._describe())] if version != self.version else []
