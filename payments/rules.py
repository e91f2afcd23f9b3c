"""Which money that arrives is posted at once, and which waits for staff; pure."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of money that arrived; dollars."""

    amount: Decimal
    announced: Decimal | None  # none: nobody knows its reference
    completed: bool  # what it was announced for has arrived before
    today: Decimal  # posted to the same customer today, this not counted
    may_deposit: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Policy: how far from what was announced, and how much, money is posted by itself; dollars."""

    tolerance: Decimal
    largest: Decimal
    largest_day: Decimal


def waits_for(arrival: Arrival, limits: Limits) -> str:
    """Say why staff have to look at money first, as `BankCredit.Waiting`; empty: nothing."""
    if arrival.announced is None:
        return "unknown_reference"
    if arrival.completed:
        return "completed"
    if abs(arrival.amount - arrival.announced) > limits.tolerance:
        return "amount_differs"
    if arrival.amount > limits.largest:
        return "too_large"
    if arrival.today + arrival.amount > limits.largest_day:
        return "too_much_today"
    return "" if arrival.may_deposit else "account_stopped"
