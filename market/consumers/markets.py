"""What a hub knows of each instrument, and how the socket describes it: in Kraken's fields."""

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from common import clock
from instruments.models import Instrument
from market import queries
from market.consumers import messages, protocol
from market.consumers.messages import EMPTY_BOOK, Book, Trade
from market.rules import candles, sessions
from market.rules.candles import Bar

TRADES_KEPT = 200
CANDLES_SHOWN = 60


@dataclass(slots=True)
class Market:
    """What the hub knows of one instrument."""

    instrument: Instrument
    reference: Decimal | None = None
    minute: Bar | None = None  # of the reference price, as heard here
    day: dict[str, Decimal | None] = field(default_factory=dict)
    last: Decimal | None = None
    state: str = queries.ONLINE
    book: Book = EMPTY_BOOK
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=TRADES_KEPT))

    @classmethod
    def of(cls, instrument: Instrument) -> "Market":
        """Begin with the price that the table has, if any."""
        stored = getattr(instrument, "reference", None)  # a row that need not exist
        return cls(instrument, reference=instrument.quoted(stored.price) if stored else None)

    def remember(
        self,
        reference: bytes | None,
        day: bytes | None,
        last: bytes | None,
        state: bytes | None,
    ) -> None:
        """Take what Redis keeps for those who come late, as far as it counts by our multiplier."""
        if priced := self._counting(reference):
            self.reference = Decimal(priced["price"])
        if figures := self._counting(day):
            self.hear_day(figures)
        if traded := self._counting(last):
            self.last = Decimal(traded["price"])
        self.state = state.decode() if state else queries.ONLINE

    def _counting(self, raw: bytes | None) -> dict[str, Any] | None:
        entry: dict[str, Any] | None = json.loads(raw) if raw else None
        return entry if entry and self.counts_by(entry.get("multiplier")) else None

    def counts_by(self, multiplier: str | None) -> bool:
        """Tell whether a price that counts by a multiplier, or by 1, is one of this market now."""
        return Decimal(multiplier or 1) == self.instrument.multiplier

    def hear_day(self, entry: dict[str, str | None]) -> None:
        """Take the figures of 24 hours, unless they count by another multiplier."""
        if self.counts_by(entry.get("multiplier")):
            figures = {name: text for name, text in entry.items() if name != "multiplier"}
            self.day = decimals(figures)

    def begin_anew(self, instrument: Instrument) -> None:
        """Forget what was said of an instrument before its multiplier changed."""
        fresh = Market.of(instrument)
        self.instrument, self.reference = instrument, fresh.reference
        self.minute, self.day, self.last = None, {}, None
        self.trades.clear()

    def ticker(self, *, simulated: bool, stale: bool, at: datetime) -> dict[str, Any]:
        """Describe the market in one line, in Kraken's fields and some of our own.

        Where nothing was traded yet, `last` is the reference price. The change is that of the
        reference price over 24 hours. `stale` is true while the feed is silent.
        """
        quoted, day, reference = self.instrument.quoted, self.day, self.reference
        opened = day.get("open")
        change = quoted(reference - opened) if reference is not None and opened else None
        bid, bid_qty = _best(self.book.bids)
        ask, ask_qty = _best(self.book.asks)
        return {
            "symbol": self.instrument.pair,
            "bid": bid,
            "bid_qty": bid_qty,
            "ask": ask,
            "ask_qty": ask_qty,
            "last": quoted(self.last) if self.last is not None else reference,
            "volume": day.get("volume") or Decimal(0),
            "vwap": day.get("vwap"),
            "low": _extreme(min, day.get("low"), reference),
            "high": _extreme(max, day.get("high"), reference),
            "change": change,
            "change_pct": queries.change_pct(change, opened),
            "reference_price": reference,
            "simulated": simulated,
            "stale": stale,
            "state": self.state,
            "session": "open" if sessions.is_open(self.instrument.hours, clock.now()) else "closed",
            "timestamp": protocol.moment(at),
        }

    def pair(self) -> dict[str, Any]:
        """Describe the rules of the market."""
        instrument = self.instrument
        tick, step = instrument.tick_size.normalize(), instrument.quantity_step.normalize()
        return {
            "symbol": instrument.pair,
            "base": instrument.symbol,
            "quote": "USD",
            "status": self.state,
            "qty_precision": -int(step.as_tuple().exponent),
            "qty_increment": step,
            "qty_min": step,
            "price_precision": -int(tick.as_tuple().exponent),
            "price_increment": tick,
            "cost_precision": 6,
            "cost_min": instrument.min_notional.normalize(),
            "marginable": False,
            "has_index": True,
        }


def past_trades(instrument: Instrument) -> list[Trade]:
    """Give the last trades, oldest first."""
    rows = queries.last_trades(instrument, TRADES_KEPT)
    return [
        Trade(
            symbol=instrument.symbol,
            trade_id=str(row.uid),
            side=row.side,
            price=f"{instrument.quoted(row.price):f}",
            quantity=f"{row.quantity:f}",
            time=protocol.moment(row.at),
            simulated=row.simulated,
        )
        for row in reversed(rows)
    ]


def past_candles(instrument: Instrument, interval: str) -> list[dict[str, Any]]:
    """Give the last candles in Kraken's fields, oldest first."""
    quoted = instrument.quoted
    return [
        {
            "symbol": instrument.pair,
            "open": quoted(row.open),
            "high": quoted(row.high),
            "low": quoted(row.low),
            "close": quoted(row.close),
            "vwap": round(row.turnover / row.volume, 6) if row.volume else None,
            "trades": row.trades,
            "volume": row.volume,
            "interval_begin": protocol.moment(row.time),
            "interval": candles.minutes(interval),
            "timestamp": protocol.moment(row.time + candles.LENGTHS[interval]),
        }
        for row in queries.candles(instrument, interval, None, CANDLES_SHOWN)
    ]


def decimals(entry: dict[str, str | None]) -> dict[str, Decimal | None]:
    """Read the numbers of a JSON object."""
    return {name: None if text is None else Decimal(text) for name, text in entry.items()}


def _best(levels: messages.Levels) -> tuple[Decimal | None, Decimal | None]:
    return (Decimal(levels[0][0]), Decimal(levels[0][1])) if levels else (None, None)


def _extreme(choose: Any, first: Decimal | None, second: Decimal | None) -> Decimal | None:
    known = [value for value in (first, second) if value is not None]
    return choose(known) if known else None
