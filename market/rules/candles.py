"""Candles: which interval a moment belongs to, and which interval is made of which."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

# A Monday, so that weeks begin on Mondays; every other interval begins at a multiple of itself.
ORIGIN = datetime(2000, 1, 3, tzinfo=UTC)

LENGTHS = {
    "1m": timedelta(minutes=1),
    "5m": timedelta(minutes=5),
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "4h": timedelta(hours=4),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
}

# Each interval is rolled up from the one before it.
LADDER = tuple(zip(list(LENGTHS), list(LENGTHS)[1:], strict=False))


def begin(interval: str, at: datetime) -> datetime:
    """Give the beginning of the interval that a moment belongs to."""
    length = LENGTHS[interval]
    return at - (at - ORIGIN) % length


def minutes(interval: str) -> int:
    """Give an interval's length in minutes, as Kraken names it."""
    return int(LENGTHS[interval].total_seconds()) // 60


BY_MINUTES = {minutes(interval): interval for interval in LENGTHS}


@dataclass(slots=True)
class Bar:
    """Open, high, low and close of one interval, while it forms."""

    time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    @classmethod
    def at(cls, time: datetime, price: Decimal) -> "Bar":
        """Begin with a first price."""
        return cls(time, price, price, price, price)

    def add(self, price: Decimal) -> None:
        """Take the next price."""
        self.high = max(self.high, price)
        self.low = min(self.low, price)
        self.close = price
