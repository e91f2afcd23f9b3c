"""What everything was worth over time: today's balances walked back through the movements."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import ledger.queries
import market.queries
from instruments.models import Instrument
from portfolio import rules
from portfolio.queries.holdings import Summary
from users.models import User


@dataclass(frozen=True, slots=True)
class Period:
    """How far back, in what steps, from which candles."""

    words: str
    length: timedelta
    step: timedelta
    interval: str


@dataclass(frozen=True, slots=True)
class Point:
    """What everything was worth at a time, in USD units."""

    at: datetime
    value: int


PERIODS = {
    "1d": Period("1 day", timedelta(days=1), timedelta(minutes=15), "15m"),
    "1w": Period("1 week", timedelta(days=7), timedelta(hours=1), "1h"),
    "1m": Period("1 month", timedelta(days=30), timedelta(hours=4), "4h"),
    "1y": Period("1 year", timedelta(days=365), timedelta(days=2), "1d"),
}

Prices = tuple[list[datetime], list[Decimal]]


def value_history(user: User, whole: Summary, *, period: str, now: datetime) -> list[Point]:
    """Say what a customer's cash and shares were worth, oldest first, up to now.

    A share is priced by the last close at that time, and by the first known one before that. A
    multiplier is taken as it is now.

    :param whole: what there is now (`summary`)
    :param period: one of `PERIODS`
    """
    over = PERIODS[period]
    since = now - over.length
    movements = _movements(user, since)
    assets = {asset_id for _, asset_id, _ in movements}
    held = Instrument.objects.filter(asset__in=assets)
    by_asset = {one.asset_id: one for one in held}
    by_asset |= {one.instrument.asset_id: one.instrument for one in whole.positions}
    closes = market.queries.closes(by_asset.values(), over.interval, since - over.length)
    prices = {key: _columns(closes.get(one.pk, [])) for key, one in by_asset.items()}
    units = defaultdict(int, {one.instrument.asset_id: one.base for one in whole.positions})
    cash, points = whole.cash, [Point(now, whole.total)]
    at = now - over.step
    while at >= since:
        while movements and movements[-1][0] > at:
            _, asset_id, amount = movements.pop()
            if asset_id in by_asset:
                units[asset_id] -= amount
            else:
                cash -= amount
        points.append(Point(at, cash + _worth(units, by_asset, prices, at)))
        at -= over.step
    return points[::-1]


def _movements(user: User, since: datetime) -> list[tuple[datetime, int, int]]:
    """List a customer's movements since a time, oldest first: when, which asset, how many units."""
    journals: Iterable[Any] = ledger.queries.movements_of(user).filter(occurred_at__gte=since)
    found = []
    for journal in journals:
        for transfer in journal.own_transfers:
            if transfer.credit.owner_id == user.pk:
                found.append((journal.occurred_at, transfer.asset_id, transfer.amount))
            if transfer.debit.owner_id == user.pk:
                found.append((journal.occurred_at, transfer.asset_id, -transfer.amount))
    return sorted(found)


def _columns(closes: list[tuple[datetime, Decimal]]) -> Prices:
    return [at for at, _ in closes], [close for _, close in closes]


def _worth(
    units: dict[int, int],
    by_asset: dict[int, Instrument],
    prices: dict[int, Prices],
    at: datetime,
) -> int:
    worth = 0
    for asset_id, instrument in by_asset.items():
        times, closes = prices[asset_id]
        if units[asset_id] and closes:
            close = closes[max(0, bisect_right(times, at) - 1)]
            worth += rules.worth(units[asset_id], instrument.multiplier, close)
    return worth
