"""Simulated prices: geometric, correlated by the market they share, livelier in New York's hours.

Everything is drawn from a seed, so the same seed and the same moments make the same prices. A price
is a number of ticks, at least one. The random walk itself runs in floats: it is weather, not money;
what leaves here are whole ticks.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from market.rules import candles, sessions

YEAR_S = 365 * 86_400
JUMPS_A_YEAR = 8
JUMP_SIZE = 0.06  # the standard deviation of a jump at a yearly volatility of 1
WICK = 0.7  # how far a candle's shadows reach at most, in standard deviations of its interval

HISTORY = timedelta(days=365)
FINE_HISTORY = timedelta(days=30)
FINEST_HISTORY = timedelta(hours=48)  # of time in which it traded


@dataclass(frozen=True, slots=True)
class Temper:
    """How an instrument moves: yearly volatility, and how much of it the market explains."""

    volatility: float
    market_share: float

    @property
    def own_share(self) -> float:
        """Give the part that is the instrument's own, so that both make one."""
        return math.sqrt(1 - self.market_share**2)


@dataclass(frozen=True, slots=True)
class Walker:
    """An instrument to be simulated, from a price in ticks on."""

    symbol: str
    kind: str  # "stock" or "etf"
    hours: str
    ticks: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A candle to be made: its time, how much may happen in it, and what the market does."""

    interval: str
    time: datetime
    scale: float  # the standard deviation of the interval at a volatility of 1
    jump_chance: float
    market: float


class TickBar(NamedTuple):
    """A simulated candle, its prices in ticks."""

    interval: str
    time: datetime
    open: int
    high: int
    low: int
    close: int


def temper(seed: str, symbol: str, kind: str) -> Temper:
    """Draw an instrument's temper: funds are calmer than shares and follow the market closely."""
    random = Random(f"{seed}:temper:{symbol}")  # noqa: S311 - weather, not a secret
    if kind == "etf":
        return Temper(random.uniform(0.12, 0.24), random.uniform(0.75, 0.95))
    return Temper(random.uniform(0.22, 0.65), random.uniform(0.35, 0.75))


def activity(at: datetime) -> float:
    """Tell how lively trading is: New York's floor hours, other hours, the weekend."""
    if sessions.is_regular(at):
        return 1.7
    return 1.0 if sessions.is_open(sessions.WEEKDAYS, at) else 0.8


class Simulator:
    """Moves a set of instruments from second to second."""

    def __init__(self, *, seed: str, walkers: Iterable[Walker], at: datetime) -> None:
        """Begin at the walkers' prices."""
        self._seed = seed
        self._at = at
        self._walkers = {walker.symbol: walker for walker in walkers}
        self._tempers = {
            walker.symbol: temper(seed, walker.symbol, walker.kind)
            for walker in self._walkers.values()
        }
        self._prices = {walker.symbol: float(walker.ticks) for walker in self._walkers.values()}

    def step(self, now: datetime) -> dict[str, int]:
        """Move to a later moment; give the prices in ticks that are others than before.

        Instruments whose session is closed keep their price.
        """
        elapsed_s = min(max((now - self._at).total_seconds(), 0.0), 60.0)
        self._at = now
        if not elapsed_s:
            return {}
        random = Random(f"{self._seed}:{int(now.timestamp())}")  # noqa: S311
        scale = math.sqrt(elapsed_s / YEAR_S) * activity(now)
        market = random.gauss(0, 1)
        open_hours = {
            hours: sessions.is_open(hours, now) for hours in (sessions.ALWAYS, sessions.WEEKDAYS)
        }
        changed = {}
        for symbol, walker in self._walkers.items():
            own = random.gauss(0, 1)
            nature = self._tempers[symbol]
            jump = nature.volatility * _jump(random, JUMPS_A_YEAR * elapsed_s / YEAR_S)
            if not open_hours[walker.hours]:
                continue
            before = self._prices[symbol]
            after = max(before * math.exp(_drift(nature, scale, market, own) + jump), 1.0)
            self._prices[symbol] = after
            if round(after) != round(before):
                changed[symbol] = round(after)
        return changed


def _drift(nature: Temper, scale: float, market: float, own: float) -> float:
    """Give the logarithmic return of one step; it has no trend."""
    deviation = nature.volatility * scale
    return deviation * (nature.market_share * market + nature.own_share * own) - deviation**2 / 2


def _jump(random: Random, chance: float) -> float:
    """Give a jump at a volatility of 1, which mostly is none."""
    return random.gauss(0, JUMP_SIZE) if random.random() < chance else 0.0


def slots(*, seed: str, hours: str, since: datetime, now: datetime) -> list[Slot]:
    """List the candles that make up a history, oldest first, for instruments with these hours.

    Days up to a month ago, quarters of an hour up to two days of trading ago, minutes since. They
    end with the last whole minute, and none lies where the session is closed.

    :param since: the first moment without a candle
    """
    fine = candles.begin("1d", now - FINE_HISTORY)
    finest = candles.begin("1h", sessions.rewind(hours, now, FINEST_HISTORY))
    end = candles.begin("1m", now)
    spans = (
        ("1d", since, fine),
        ("15m", max(since, fine), finest),
        ("1m", max(since, finest), end),
    )
    return [slot for span in spans for slot in _slots_of(seed, hours, *span)]


def _slots_of(
    seed: str, hours: str, interval: str, since: datetime, until: datetime
) -> Iterator[Slot]:
    length = candles.LENGTHS[interval]
    for opened, closed in sessions.open_spans(hours, since, until):
        time = candles.begin(interval, opened)
        while time < closed:
            open_s = (min(time + length, closed) - max(time, opened)).total_seconds()
            liveliness = 1.0 if interval == "1d" else activity(time)
            yield Slot(
                interval,
                time,
                math.sqrt(open_s / YEAR_S) * liveliness,
                JUMPS_A_YEAR * open_s / YEAR_S,
                Random(f"{seed}:market:{int(time.timestamp())}").gauss(0, 1),  # noqa: S311
            )
            time += length


def history(
    *, seed: str, walker: Walker, plan: Sequence[Slot], backward: bool
) -> Iterator[TickBar]:
    """Make a candle for each slot, each opening where the one before closed.

    :param backward: end at the walker's price, as at a first start; otherwise begin there, as after
        a pause
    """
    nature = temper(seed, walker.symbol, walker.kind)
    first = plan[0].time.timestamp() if plan else 0
    random = Random(f"{seed}:{walker.symbol}:{int(first)}")  # noqa: S311
    gauss, uniform = random.gauss, random.random
    common = nature.volatility * nature.market_share
    own = nature.volatility * nature.own_share
    steps = [
        slot.scale * (common * slot.market + own * gauss(0, 1))
        + (nature.volatility * gauss(0, JUMP_SIZE) if uniform() < slot.jump_chance else 0.0)
        for slot in plan
    ]
    level = math.log(walker.ticks) - (math.fsum(steps) if backward else 0.0)
    price = math.exp(level)
    for slot, step in zip(plan, steps, strict=True):
        opened = price
        level += step
        price = math.exp(level)
        top, bottom = (price, opened) if price > opened else (opened, price)
        reach = min(WICK * nature.volatility * slot.scale, 0.5)
        yield TickBar(
            slot.interval,
            slot.time,
            round(opened) or 1,
            round(top * (1 + reach * uniform())) or 1,
            round(bottom * (1 - reach * uniform())) or 1,
            round(price) or 1,
        )
