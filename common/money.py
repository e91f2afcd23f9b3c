"""Amounts: whole numbers of an asset's smallest unit.

A float never holds money. `Amount` carries its asset, so adding dollars to shares raises, and
every place where a fraction is dropped names its rounding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    Context,
    Decimal,
    InvalidOperation,
)
from typing import Protocol

from common.errors import DomainError

EXACT = Context(prec=60)
MAX_UNITS = 2**63 - 1
PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)")


class Countable(Protocol):
    """An asset: what can be counted, and in what smallest unit."""

    @property
    def code(self) -> str:
        """Its name on every screen: USD, AAPLx."""
        ...

    @property
    def scale(self) -> int:
        """How many decimals one whole has: a unit is 10 ** -scale."""
        ...


class AmountInvalid(DomainError):
    """Give a plain positive decimal number, like 12.50."""

    status = 400


class AssetsDiffer(TypeError):
    """Two amounts of different assets were combined: a bug, never the customer's fault."""


@dataclass(frozen=True, slots=True)
class Unit:
    """An asset known only by name and scale, where the ledger's row is not at hand."""

    code: str
    scale: int


USD = Unit("USD", 6)
CENT = 10_000  # USD units


def parse_decimal(text: str | Decimal, *, field: str | None = None) -> Decimal:
    """Read a finite decimal of at most 40 digits.

    :raises AmountInvalid: for NaN, Infinity, words, exponents, absurd lengths, and what only
        Python takes for a number (1_000, other scripts' digits)
    """
    if isinstance(text, str) and (len(text) > 60 or not PLAIN.fullmatch(text.strip())):
        raise AmountInvalid(field=field)
    try:
        value = Decimal(text)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise AmountInvalid(field=field) from error
    if not value.is_finite() or abs(value.adjusted()) > 30 or len(value.as_tuple().digits) > 40:
        raise AmountInvalid(field=field)
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Amount:
    """So many units of one asset; may be negative where a difference is meant.

    An asset is known by its code: the ledger's row of USD and the bare `USD` are the same.
    """

    units: int
    asset: Countable

    @classmethod
    def parse(cls, text: str | Decimal, asset: Countable, *, field: str | None = None) -> Amount:
        """Read an amount that the asset can count exactly.

        :raises AmountInvalid: if it isn't a finite decimal, has more decimals than the asset, or
            is beyond 2**63 units
        """
        scaled = parse_decimal(text, field=field).scaleb(asset.scale, EXACT)
        if scaled != int(scaled):
            raise AmountInvalid(
                f"{asset.code} is counted to {asset.scale} decimals; drop the rest.", field=field
            )
        if abs(scaled) > MAX_UNITS:
            raise AmountInvalid("That is more than can be counted here.", field=field)
        return cls(int(scaled), asset)

    @property
    def decimal(self) -> Decimal:
        """The amount in wholes: 1500000 units of USD are Decimal("1.500000")."""
        return Decimal(self.units).scaleb(-self.asset.scale, EXACT)

    def __str__(self) -> str:
        """Write all decimals, no exponent."""
        return f"{self.decimal:f}"

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.units + self._same(other).units, self.asset)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.units - self._same(other).units, self.asset)

    def __neg__(self) -> Amount:
        return Amount(-self.units, self.asset)

    def __bool__(self) -> bool:
        return self.units != 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Amount):
            return NotImplemented
        return (self.units, self.asset.code) == (other.units, other.asset.code)

    def __hash__(self) -> int:
        return hash((self.units, self.asset.code))

    def __lt__(self, other: Amount) -> bool:
        return self.units < self._same(other).units

    def __le__(self, other: Amount) -> bool:
        return self.units <= self._same(other).units

    def _same(self, other: Amount) -> Amount:
        if other.asset.code != self.asset.code:
            raise AssetsDiffer(f"{self.asset.code} and {other.asset.code}")
        return other


def floor_units(value: Decimal, asset: Countable) -> int:
    """Count the whole units in a decimal amount, dropping what is left."""
    return int(value.scaleb(asset.scale, EXACT).to_integral_value(ROUND_FLOOR))


def ceil_units(value: Decimal, asset: Countable) -> int:
    """Count the units that cover a decimal amount."""
    return int(value.scaleb(asset.scale, EXACT).to_integral_value(ROUND_CEILING))


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a trade cost, its fee, and both together, in whole cents that add up.

    What leaves an account is never said to be less, nor what arrives to be more: cost and total are
    rounded against who reads them, both the same way, and the fee is what lies between. So an
    order of 25 dollars cost 25.00, where the books say 24.999998; each part is less than a cent
    off; no fee is no fee, and a rebate, a negative fee, never looks like one.
    """

    cost: Decimal
    fee: Decimal
    total: Decimal

    @classmethod
    def of(cls, *, cost: int, fee: int, buying: bool) -> Receipt:
        """Round a cost and a fee, both in USD units."""
        away = ROUND_CEILING if buying else ROUND_FLOOR
        rounded = cents(cost, away)
        total = cents(cost + fee if buying else cost - fee, away)
        return cls(rounded, total - rounded if buying else rounded - total, total)


def cents(units: int, rounding: str) -> Decimal:
    """Give USD units in dollars and whole cents.

    :param rounding: one of decimal's
    """
    return Amount(units, USD).decimal.quantize(Decimal("0.01"), rounding, EXACT)


def in_dollars(units: int, rounding: str = ROUND_FLOOR) -> str:
    """Write USD units as sentences do: $1,234.50, without a sign.

    :param rounding: one of decimal's; the ceiling for what is paid or owed
    """
    return f"${abs(cents(units, rounding)):,}"


def count(shares: Decimal) -> str:
    """Write a quantity of shares: four decimals where they say enough, never rounded up."""
    short = shares.quantize(Decimal("0.0001"), ROUND_DOWN, EXACT) or shares
    return f"{short.normalize(EXACT):,f}"
