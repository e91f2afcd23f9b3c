"""What pays for a purchase: which shares are sold, how many, and what they bring.

Quantities are base units (10^-8 of a share, before the multiplier), money is USD units (10^-6),
prices are dollars for one whole share with at most six decimals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from common.money import EXACT as WIDE
from trading.rules import fee, ppm

PRICE = 10**6
PPM = 10**6
MULTIPLIER = 10**18
# Price units x base units x multiplier units that make one USD unit.
EXACT = 10**8 * MULTIPLIER
LODGING = ("7011", *(str(code) for code in range(3501, 4000)))

UNBOUNDED = 2**63 - 1

Obstacle = Literal["", "asset_halted", "price_stale", "sale_limit"]
Level = tuple[Decimal, int]


@dataclass(frozen=True, slots=True)
class Cash:
    """Dollars that may pay, down to a floor; both in USD units."""

    available: int
    keep: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares that may be sold, down to a floor, at the levels of a standing quote, best first.

    :param rate: the fee on selling them, a share of what they bring
    :param room: USD units of them that the house still buys now
    """

    key: int
    available: int
    keep: int
    levels: Sequence[Level]
    multiplier: Decimal = Decimal(1)
    tick: Decimal = Decimal("0.01")
    obstacle: Obstacle = ""
    rate: Decimal = Decimal(0)
    room: int = UNBOUNDED


@dataclass(frozen=True, slots=True)
class Sale:
    """So many base units at one price, the average through the levels; what they bring and cost."""

    key: int
    quantity: int
    price: Decimal
    proceeds: int
    fee: int = 0

    @property
    def net(self) -> int:
        """What the seller gets."""
        return self.proceeds - self.fee


@dataclass(frozen=True, slots=True)
class Plan:
    """How an amount is paid: this much of the cash, and these sales.

    `obstacle` says what kept an asset from paying, where the amount is not covered.
    """

    amount: int
    cash: int
    sales: tuple[Sale, ...]
    obstacle: Obstacle

    @property
    def covered(self) -> int:
        """The USD units that can be set aside, at most the amount."""
        return min(self.amount, self.cash + sum(sale.net for sale in self.sales))


def plan(*, amount: int, sources: Sequence[Cash | Shares], room: int = UNBOUNDED) -> Plan:
    """Go through the sources in order until the amount is covered, selling just enough.

    :param room: USD units of shares that the house still buys now, of all kinds together
    """
    cash, missing, sales = 0, amount, []
    obstacle: Obstacle = ""
    for source in sources:
        if missing <= 0:
            break
        if isinstance(source, Cash):
            cash = min(missing, max(0, source.available - source.keep))
            missing -= cash
        elif source.obstacle:
            obstacle = obstacle or source.obstacle
        else:
            if _most(source, room) < source.available - source.keep:
                obstacle = obstacle or "sale_limit"
            if sale := sell(source, missing, room):
                sales.append(sale)
                missing, room = missing - sale.net, room - sale.proceeds
    return Plan(amount, cash, tuple(sales), obstacle if missing > 0 else "")


def sell(source: Shares, need: int, room: int = UNBOUNDED) -> Sale | None:
    """Sell the fewest units that bring `need` and the fee, or all there may be.

    The price is the average through the levels, rounded down to a tick; at it, one unit less
    would not have been enough.

    :param room: USD units that the house still buys now, besides the source's own room
    :returns: None if that is nothing
    """
    most = _most(source, room)
    if most <= 0:
        return None
    multiplier = _multiplier(source.multiplier)
    gross = _before_fee(need, source.rate)
    quantity = _reach(source.levels, -(-gross * EXACT // multiplier), most)
    price = _average(source, quantity)
    while quantity < most and price and _value(price, quantity, multiplier) < gross:
        quantity = min(most, -(-gross * EXACT // (price * multiplier)))
        price = _average(source, quantity)
    brings = _value(price, quantity, multiplier)
    if brings <= 0:
        return None
    charged = fee(brings, source.rate)
    return Sale(source.key, quantity, Decimal(price) / PRICE, brings, charged)


def value_of(price: Decimal, quantity: int, multiplier: Decimal) -> int:
    """Say what base units are worth in USD units, rounded down."""
    return _value(int(price * PRICE), quantity, _multiplier(multiplier))


def luhn_digit(digits: str) -> str:
    """Give the check digit that completes a card number (ISO/IEC 7812)."""
    doubled = (int(d) * (2 - i % 2) for i, d in enumerate(reversed(digits)))
    return str(-sum(d // 10 + d % 10 for d in doubled) % 10)


def lifetime_days(mcc: str) -> int:
    """Say how long a merchant of this category may take to clear."""
    return 31 if mcc in LODGING else 7


def _most(source: Shares, room: int) -> int:
    """Count the units that may be sold: those above the floor, as far as quote and room reach.

    No unit brings more than the best price, so what is within the room at that price stays in it.
    """
    depth = sum(size for _, size in source.levels)
    most = min(source.available - source.keep, depth)
    if most <= 0:
        return 0
    best = int(source.levels[0][0] * PRICE)
    within = max(0, min(room, source.room))
    return min(most, within * EXACT // (best * _multiplier(source.multiplier)))


def _before_fee(need: int, rate: Decimal) -> int:
    """Give the least amount that leaves so much after a fee rounded down."""
    return (need - 1) * PPM // (PPM - ppm(rate)) + 1


def _multiplier(multiplier: Decimal) -> int:
    return int(multiplier.scaleb(18, WIDE))


def _value(price: int, quantity: int, multiplier: int) -> int:
    return price * quantity * multiplier // EXACT


def _reach(levels: Sequence[Level], target: int, most: int) -> int:
    """Count the units at which price x quantity first reaches the target, at most `most`."""
    quantity = 0
    for price, size in levels:
        unit = int(price * PRICE)
        if target <= unit * size:
            return min(most, quantity - (-target // unit))
        quantity, target = quantity + size, target - unit * size
    return most


def _average(source: Shares, quantity: int) -> int:
    """Average the price of the first so many units, in millionths of a dollar, down to a tick."""
    left, worth = quantity, 0
    for price, size in source.levels:
        taken = min(left, size)
        worth += int(price * PRICE) * taken
        left -= taken
    tick = int(source.tick * PRICE)
    return worth // quantity // tick * tick


def is_expired(printed: date, today: date) -> bool:
    """Say whether a card is past the month printed on it: it is good through that month's last day.

    :param today: by UTC, in which a card of December is good until January begins there
    """
    return (printed.year, printed.month) < (today.year, today.month)
