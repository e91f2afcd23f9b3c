"""What a corporate action does to a multiplier: pure arithmetic, and what it can explain.

A split of `ratio_to` new shares for `ratio_from` old ones multiplies by their ratio, and so does a
reverse split, whose ratio is below 1. A dividend of `net_amount` dollars a share, reinvested at
`reinvestment_price`, multiplies by 1 + net_amount / reinvestment_price.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

SPLIT = "split"
REVERSE_SPLIT = "reverse_split"
DIVIDEND = "dividend"

DIVIDEND_BELOW = Fraction(1, 5)  # a larger share of the price is no dividend
BIGGEST_RATIO = 1000
DECIMALS = 18  # of a multiplier


@dataclass(frozen=True, slots=True)
class Terms:
    """What the issuer announced: a ratio for a split, dollars for a dividend."""

    kind: str
    ratio_to: int | None = None
    ratio_from: int | None = None
    net_amount: Decimal | None = None
    reinvestment_price: Decimal | None = None


def wrong_with(terms: Terms) -> tuple[str, str] | None:
    """Say what is wrong with the terms, as (field, sentence); None if nothing is."""
    if terms.kind == DIVIDEND:
        return _wrong_with_dividend(terms)
    return _wrong_with_split(terms)


def _wrong_with_dividend(terms: Terms) -> tuple[str, str] | None:
    if terms.ratio_to is not None or terms.ratio_from is not None:
        return "ratio_to", "A dividend has no ratio; leave both parts empty."
    if terms.net_amount is None or terms.net_amount <= 0:
        return "net_amount", "Give the dollars a share after tax."
    if terms.reinvestment_price is None or terms.reinvestment_price <= 0:
        return "reinvestment_price", "Give the price at which the dividend is reinvested."
    if Fraction(terms.net_amount) / Fraction(terms.reinvestment_price) >= DIVIDEND_BELOW:
        return "net_amount", "A dividend is less than 20 % of the price it is reinvested at."
    return None


def _wrong_with_split(terms: Terms) -> tuple[str, str] | None:
    if terms.net_amount is not None or terms.reinvestment_price is not None:
        return "net_amount", "A split pays nothing; leave the amount and the price empty."
    for name, part in (("ratio_to", terms.ratio_to), ("ratio_from", terms.ratio_from)):
        if part is None or not 1 <= part <= BIGGEST_RATIO:
            return name, f"Give a whole number from 1 to {BIGGEST_RATIO}."
    more = factor(terms) > 1
    if factor(terms) == 1 or more != (terms.kind == SPLIT):
        return "ratio_to", "A split makes more shares of the old ones, a reverse split fewer."
    return None


def factor(terms: Terms) -> Fraction:
    """Give what the terms multiply by."""
    if terms.kind == DIVIDEND:
        assert terms.net_amount is not None
        assert terms.reinvestment_price is not None
        return 1 + Fraction(terms.net_amount) / Fraction(terms.reinvestment_price)
    assert terms.ratio_to is not None
    assert terms.ratio_from is not None
    return Fraction(terms.ratio_to, terms.ratio_from)


def multiplier_after(before: Decimal, terms: Terms) -> Decimal:
    """Give the multiplier after the action: exact, then rounded half to even to 18 decimals."""
    units = round(Fraction(before) * factor(terms) * 10**DECIMALS)
    return Decimal((0, tuple(map(int, str(units))), -DECIMALS))


@dataclass(frozen=True, slots=True)
class Change:
    """A multiplier that became another one: by a split, or by a dividend that was reinvested."""

    at: datetime
    before: Decimal
    after: Decimal
    kind: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a base share of one instrument stood for at any time.

    :param now: its multiplier
    :param changes: oldest first
    """

    now: Decimal
    changes: tuple[Change, ...] = ()

    def at(self, moment: datetime) -> Decimal:
        """Give the multiplier of a time."""
        for change in reversed(self.changes):
            if change.at <= moment:
                return change.after
        return self.changes[0].before if self.changes else self.now

    def split_since(self, moment: datetime) -> Fraction:
        """Give how many shares of now one share of a time is, by splits alone.

        A price of that time is divided by it, and a volume multiplied, to stand beside those of
        now. A dividend changes no price: it makes more shares.
        """
        factor = Fraction(1)
        for change in self.changes:
            if change.at > moment and change.kind != DIVIDEND:
                factor *= Fraction(change.after) / Fraction(change.before)
        return factor


def as_sought(name: str) -> str:
    """Write a name as it is sought: small letters and digits alone, "S&P 500" as "sp500"."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(sign for sign in plain if sign.isalnum())
