"""First in, first out: which lots a sale closes, and what of their cost goes with it.

Quantities are base units, money is USD units; everything is whole and nothing is lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction

from common.money import EXACT
from instruments.rules import Timeline


class LotsMissing(ValueError):
    """More was sold than the lots have: a trade that should have come first is not booked yet."""


@dataclass(frozen=True, slots=True)
class Open:
    """What is left of a lot: base units, and what they cost in USD units."""

    remaining: int
    cost: int


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a lot that a sale closes, its share of the cost and of the proceeds."""

    quantity: int
    cost: int
    proceeds: int


def close(lots: Iterable[Open], *, quantity: int, proceeds: int) -> list[Part]:
    """Close lots in the order given, until the quantity is reached.

    A part takes its share of the lot's cost rounded down, and the last part of a lot all the rest;
    proceeds are shared out by quantity in the same way. So the parts always add up exactly.

    :raises LotsMissing: if the lots have less than the quantity
    """
    parts: list[Part] = []
    left, unshared = quantity, proceeds
    for lot in lots:
        if not left:
            break
        taken = min(left, lot.remaining)
        share = unshared * taken // left
        parts.append(Part(taken, lot.cost * taken // lot.remaining, share))
        left, unshared = left - taken, unshared - share
    if left:
        raise LotsMissing
    return parts


def shares(base: int, multiplier: Decimal) -> Decimal:
    """Say base units in shares, to eight decimals, rounded down."""
    exact = EXACT.multiply(Decimal(base), multiplier).scaleb(-8, EXACT)
    return exact.quantize(Decimal("1e-8"), ROUND_FLOOR, EXACT)


def counted(line: Timeline, at: datetime) -> Decimal:
    """Give the multiplier of a time for a price in shares of now: splits since are in it."""
    split = line.split_since(at)
    exact = Fraction(line.at(at)) * split
    return Decimal(round(exact * 10**18)).scaleb(-18, EXACT)


def worth(base: int, multiplier: Decimal, price: Decimal) -> int:
    """Say what base units are worth in USD units, rounded down."""
    exact = EXACT.multiply(EXACT.multiply(Decimal(base), multiplier), price).scaleb(-2, EXACT)
    return int(exact.to_integral_value(ROUND_FLOOR, EXACT))


def average_cost(cost: int, base: int, multiplier: Decimal) -> Decimal | None:
    """Say what one whole share cost on average, in dollars to six decimals."""
    if not base:
        return None
    exact = Fraction(cost) * 100 / (Fraction(base) * Fraction(multiplier))
    return Decimal(exact.numerator * 10**6 // exact.denominator).scaleb(-6, EXACT)


def percent(part: int, whole: int) -> Decimal | None:
    """Say a part in percent of a whole, to two decimals; None of nothing."""
    if whole <= 0:
        return None
    return (Decimal(part) * 100 / Decimal(whole)).quantize(Decimal("0.01"))


def earlier_price(price: Decimal, change_pct: Decimal) -> Decimal:
    """Say what a price was before it changed by so many percent."""
    return price * 100 / (100 + change_pct) if change_pct > -100 else Decimal(0)
