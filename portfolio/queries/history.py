"""What everything was worth over time: today's balances walked back through the movements."""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import instruments.queries
import ledger.queries
import market.queries
from instruments.models import Instrument
from instruments.rules import Timeline
from portfolio import rules
from portfolio.queries.holdings import DAY, TRADE, Summary
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


@dataclass(frozen=True, slots=True)
class History:
    """What everything was worth over a period, oldest first, and what came in meanwhile, net.

    `came` counts deposits, payments and transfers in USD units, shares at their price of that time.
    """

    points: list[Point]
    came: int

    @property
    def earned(self) -> int:
        """What the period earned or lost in USD units, money in and out aside."""
        return self.points[-1].value - self.points[0].value - self.came

    @property
    def earned_pct(self) -> Decimal | None:
        """The same in percent of what there would be without it."""
        return rules.percent(self.earned, self.points[-1].value - self.earned)


PERIODS = {
    "1d": Period("1 day", timedelta(days=1), timedelta(minutes=15), "15m"),
    "1w": Period("1 week", timedelta(days=7), timedelta(hours=1), "1h"),
    "1m": Period("1 month", timedelta(days=30), timedelta(hours=4), "4h"),
    "1y": Period("1 year", timedelta(days=365), timedelta(days=2), "1d"),
}


@dataclass(frozen=True, slots=True)
class Prices:
    """Closing prices of one instrument, in shares of now, and what its base units stood for."""

    times: list[datetime]
    closes: list[Decimal]
    line: Timeline


def value_history(user: User, whole: Summary, *, period: str, now: datetime) -> History:
    """Say what a customer's cash and shares were worth, oldest first, up to now.

    A share is priced by the last close at that time, and by the first known one before that; base
    units count by the multiplier of that time.

    :param whole: what there is now (`summary`)
    :param period: one of `PERIODS`
    """
    over = PERIODS[period]
    since = now - over.length
    moves = whole.moves[:] if over.length == DAY else ledger.queries.moves_since(user, since)
    assets = {move.asset.pk for move in moves}
    held = Instrument.objects.filter(asset__in=assets)
    by_asset = {one.asset_id: one for one in held}
    by_asset |= {one.instrument.asset_id: one.instrument for one in whole.positions}
    unknown = [one for one in by_asset.values() if one.pk not in whole.lines]
    lines = whole.lines | (instruments.queries.timelines(unknown) if unknown else {})
    begin = since - over.length
    closes = market.queries.closes(by_asset.values(), over.interval, begin, lines=lines)
    prices = {key: _columns(closes.get(one.pk, []), lines[one.pk]) for key, one in by_asset.items()}
    units = defaultdict(int, {one.instrument.asset_id: one.base for one in whole.positions})
    cash, came, points = whole.cash, 0, [Point(now, whole.total)]
    at = now - over.step
    while at >= since:
        while moves and moves[-1].at > at:
            move = moves.pop()
            asset, traded = move.asset.pk, move.key.startswith(TRADE)
            if asset in by_asset:
                units[asset] -= move.units
                came += 0 if traded else _worth({asset: move.units}, prices, move.at)
            else:
                cash -= move.units
                came += 0 if traded else move.units
        points.append(Point(at, cash + _worth(units, prices, at)))
        at -= over.step
    return History(points[::-1], came)


def _columns(closes: list[tuple[datetime, Decimal]], line: Timeline) -> Prices:
    return Prices([at for at, _ in closes], [close for _, close in closes], line)


def _worth(units: dict[int, int], prices: dict[int, Prices], at: datetime) -> int:
    """Say what base units were worth at a time, in USD units.

    Prices are in shares of now, so a split counts as it does now, and a dividend as it did then.
    """
    worth = 0
    for asset_id, base in units.items():
        known = prices[asset_id]
        if base and known.closes:
            close = known.closes[max(0, bisect_right(known.times, at) - 1)]
            sign = 1 if base > 0 else -1
            worth += sign * rules.worth(abs(base), rules.counted(known.line, at), close)
    return worth
