"""The market's arithmetic before an order meets the engine: ticks, holds, collars, fees.

Prices are dollars for one whole share. Holds round up, once; what a customer is shown as an
estimate rounds toward zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from math import ceil

from common.errors import DomainError
from common.money import CENT, EXACT, MAX_UNITS, USD, in_dollars
from trading.engine.arithmetic import PPM, buy_need, cost_fraction, fee_of

SHARE_SCALE = 8
BP = Decimal("0.0001")
ABSURD = 100


class PriceOffTick(DomainError):
    """The price is between two ticks; round it to the instrument's tick size."""

    status = 400


class QuantityOffStep(DomainError):
    """Shares are counted to eight decimals; round the quantity."""

    status = 400
    field = "quantity"


class BelowMinimum(DomainError):
    """The order is worth less than the smallest one this market takes."""


class TooLarge(DomainError):
    """The order is larger than this market can count."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How an instrument counts: its tick in dollars and its multiplier (shares per base share)."""

    tick: Decimal
    multiplier: Decimal

    @classmethod
    def of(cls, tick: Decimal, multiplier: Decimal) -> "Scale":
        """Take both without trailing zeros, so that a price is written as finely as its tick."""
        return cls(tick.normalize(), multiplier.normalize())

    @property
    def fraction(self) -> tuple[int, int]:
        """(num, den) with ticks * base * num // den the cost in USD units."""
        num, den = self.tick.as_integer_ratio()
        return cost_fraction(num, den, SHARE_SCALE, self.multiplier_e18)

    @property
    def multiplier_e18(self) -> int:
        """The multiplier as the engine counts it."""
        return int(self.multiplier.scaleb(18, EXACT))

    def ticks(self, price: Decimal, *, field: str) -> int:
        """Count a price in ticks.

        :raises PriceOffTick: if it is not a positive whole number of ticks
        """
        ticks = price / self.tick
        if ticks != int(ticks) or ticks <= 0:
            raise PriceOffTick(
                f"Prices move in steps of {self.tick.normalize():f} dollars.", field=field
            )
        if ticks > MAX_UNITS:
            raise TooLarge(field=field)
        return int(ticks)

    def signed_ticks(self, distance: Decimal, *, field: str) -> int:
        """Count a distance between prices in ticks, either way.

        :raises PriceOffTick: if it is not a whole number of ticks
        """
        if not distance:
            return 0
        ticks = self.ticks(abs(distance), field=field)
        return ticks if distance > 0 else -ticks

    def price(self, ticks: int) -> Decimal:
        """Give the price of so many ticks."""
        return self.tick * ticks

    def base(self, shares: Decimal, *, field: str = "quantity", selling: bool = False) -> int:
        """Count shares in base units: a purchase rounds down, a sale takes all that is shown so.

        Shares are shown rounded down, so that several base units may be shown alike: a sale of what
        is shown takes the most of them, and leaves nothing behind.

        :raises QuantityOffStep: if a share has more than eight decimals here
        """
        units = shares.scaleb(SHARE_SCALE, EXACT)
        if units != int(units):
            raise QuantityOffStep(field=field)
        multiplier = Fraction(self.multiplier)
        if selling and units > 0:
            base = ceil(Fraction(int(units) + 1) / multiplier) - 1
        else:
            base = int(Fraction(int(units)) / multiplier)
        if not 0 < base <= MAX_UNITS:
            raise TooLarge(field=field) if base else BelowMinimum(field=field)
        return base

    def shares(self, base: int) -> Decimal:
        """Give what so many base units are in shares, to eight decimals, toward zero."""
        units = int(Fraction(base) * Fraction(self.multiplier))
        return Decimal(units).scaleb(-SHARE_SCALE, EXACT)

    def cost(self, ticks: int, base: int) -> int:
        """Give what so much costs at a price, in USD units, rounded down."""
        num, den = self.fraction
        return ticks * base * num // den

    def base_for(self, notional: int, ticks: int) -> int:
        """Give the base units that so many USD units buy at a price, rounded down."""
        num, den = self.fraction
        return notional * den // (ticks * num)

    def base_covering(self, notional: int, ticks: int) -> int:
        """Give the base units that bring in at least so many USD units at a price."""
        num, den = self.fraction
        return -(-notional * den // (ticks * num))

    def hold_for(self, ticks: int, base: int, taker_ppm: int) -> int:
        """Give the USD units that buying so much can cost at most, fee included."""
        num, den = self.fraction
        return buy_need(base, ticks * num, den, taker_ppm)


def hold_for_notional(notional: int, taker_ppm: int) -> int:
    """Give the USD units that spending so much can cost at most, fee included."""
    return -(-notional * (PPM + max(taker_ppm, 0)) // PPM)


def ppm(rate: Decimal) -> int:
    """Give a fee rate in parts per million; the table stores no finer one."""
    return int(rate.scaleb(6, EXACT))


def fee(cost: int, rate: Decimal) -> int:
    """Give the fee on a cost in USD units, rounded toward zero; negative is a rebate."""
    return fee_of(cost, ppm(rate))


def collar(reference: Decimal, *, side: str, width: Decimal, tick: Decimal) -> Decimal:
    """Give the worst price of a market order: so far from the reference, and on a tick."""
    buying = side == "buy"
    limit = reference * (1 + width if buying else 1 - width)
    whole = (limit / tick).to_integral_value(ROUND_FLOOR if buying else ROUND_CEILING)
    return max(whole, Decimal(1)) * tick


def is_believable(price: int | Decimal, before: int | Decimal | None) -> bool:
    """Tell whether a price can be true: positive, and not a hundred times the one before or less.

    A feed that slips a decimal or a currency is off by that much; markets are not.
    """
    if price <= 0:
        return False
    return before is None or (before < price * ABSURD and price < before * ABSURD)


def covers(notional: int, worth: int, *, collar: Decimal) -> bool:
    """Tell whether a sale by dollars is a sale of everything, which is worth so much now.

    It is from what the page shows, whole cents rounded down, up to a collar more: the price moves
    while somebody types. All in USD units.
    """
    most = ceil(worth * (1 + Fraction(collar)))
    return worth - worth % CENT <= notional <= most + -most % CENT


def check_minimum(cost: int, minimum: Decimal, *, field: str) -> None:
    """Refuse an order worth less than the market's minimum.

    :raises BelowMinimum: naming the minimum in dollars
    """
    if cost < int(minimum.scaleb(USD.scale, EXACT)):
        least = in_dollars(int(minimum.scaleb(USD.scale, EXACT)), ROUND_CEILING)
        raise BelowMinimum(f"The smallest order is {least}.", field=field)


def lean(position_usd: Decimal, *, full_usd: int, skew: Decimal, first_bp: int) -> Decimal:
    """Give how far the house's quotes move against its position, in basis points.

    A long house asks less and bids less. The move grows with the position and stays within `skew`
    of the first level's distance.
    """
    share = max(min(position_usd / full_usd, Decimal(1)), Decimal(-1))
    return -share * skew * first_bp


def house_levels(
    reference: Decimal,
    *,
    tick: Decimal,
    away_bp: Sequence[int],
    sizes_usd: Sequence[int],
    lean_bp: Decimal = Decimal(0),
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Give the house's levels a side around a price: (ticks, USD units), best first.

    :param away_bp: each level's distance from the reference, in basis points
    :param lean_bp: how far both sides are moved
    """
    bids: list[tuple[int, int]] = []
    asks: list[tuple[int, int]] = []
    for basis_points, dollars in zip(away_bp, sizes_usd, strict=True):
        below = reference * (1 + (lean_bp - basis_points) * BP)
        above = reference * (1 + (lean_bp + basis_points) * BP)
        bid = int((below / tick).to_integral_value(ROUND_FLOOR))
        ask = int((above / tick).to_integral_value(ROUND_CEILING))
        if bids and bid >= bids[-1][0]:
            bid = bids[-1][0] - 1
        if asks and ask <= asks[-1][0]:
            ask = asks[-1][0] + 1
        if bid > 0:
            bids.append((bid, dollars * 10**USD.scale))
        asks.append((ask, dollars * 10**USD.scale))
    return bids, asks


def hedge_ticks(
    reference: Decimal, *, tick: Decimal, position_usd: Decimal, full_usd: int, slippage_bp: int
) -> int:
    """Give the price at which a position is to be traded away, in ticks.

    The larger the position, the more of the slippage it concedes, all of it at `full_usd`. Rounded
    in our favor.
    """
    share = max(min(position_usd / full_usd, Decimal(1)), Decimal(-1))
    price = reference * (1 - share * slippage_bp * BP)
    rounding = ROUND_CEILING if position_usd > 0 else ROUND_FLOOR
    return max(1, int((price / tick).to_integral_value(rounding)))


def left_of(levels: Sequence[tuple[Decimal, int]], taken: int) -> list[tuple[Decimal, int]]:
    """Give what is left of (price, base units) levels, best first, once so many were taken."""
    left = []
    for price, size in levels:
        here = min(size, taken)
        taken -= here
        if size > here:
            left.append((price, size - here))
    return left


class PriceGuard:
    """Believes a price that moves as prices do, and one that leapt only when it has stayed.

    This is the house's kill switch against an absurd feed: a decimal point that slipped, another
    share's price. What it does not believe, the house does not quote.
    """

    def __init__(self) -> None:
        """Begin by believing each first price."""
        self._believed: dict[int, Decimal] = {}
        self._doubted: dict[int, tuple[Decimal, datetime]] = {}

    def forget(self, keys: Iterable[int]) -> None:
        """Believe the next price of these as the first one."""
        for key in keys:
            self._believed.pop(key, None)
            self._doubted.pop(key, None)

    def believes(
        self, key: int, price: Decimal, *, jump_bp: int, calm_s: int, now: datetime
    ) -> bool:
        """Tell whether a price is within reach of the last one believed, or has held long enough.

        :param jump_bp: how far it may be from the last one, in basis points
        :param calm_s: how long a leapt price must stay within that reach of itself
        """
        if price <= 0:
            return False
        last = self._believed.get(key, price)
        if abs(price - last) > last * jump_bp * BP:
            leapt, since = self._doubted.get(key, (price, now))
            if abs(price - leapt) > leapt * jump_bp * BP:
                leapt, since = price, now
            self._doubted[key] = leapt, since
            if (now - since).total_seconds() < calm_s:
                return False
        self._doubted.pop(key, None)
        self._believed[key] = price
        return True


# What an order adds to its customer's counter: (younger than so many seconds, cost), as Kraken has
# it. An older one costs nothing to cancel, and 1 to amend, as each command does.
CANCEL_COSTS = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))
AMEND_COSTS = ((5, 4), (10, 3), (15, 2))


def cancel_cost(age_s: float) -> int:
    """Give what it costs to cancel an order of this age: dear while young, nothing once old."""
    return next((cost for younger, cost in CANCEL_COSTS if age_s < younger), 0)


def amend_cost(age_s: float) -> int:
    """Give what it costs to amend an order of this age."""
    return next((cost for younger, cost in AMEND_COSTS if age_s < younger), 1)
