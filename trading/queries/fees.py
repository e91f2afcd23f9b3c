"""What trading costs a customer: a dated schedule by the volume of the last thirty days."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import QuerySet, Sum

from common import database
from common.money import USD, Amount
from trading.models import DailyVolume, FeeTier
from users.models import User

WINDOW = timedelta(days=30)

REACHED = """
    WHERE since <= %s AND min_volume_usd * 10 ^ %s::int <= (
        SELECT coalesce(sum(volume), 0) FROM trading_dailyvolume
        WHERE customer_id = %s AND day > %s
    )
    ORDER BY min_volume_usd DESC, since DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Fees:
    """A customer's volume of thirty days in dollars, the tier it reached, and the schedule."""

    volume_30d: Decimal
    tier: FeeTier
    schedule: list[FeeTier]


def fee_tier(customer: User, now: datetime) -> FeeTier:
    """Give the tier that a customer has reached, in one query.

    The volume is that of the daily rollup: of the last thirty days, today as far as it is counted.
    """
    params = [now.date(), USD.scale, customer.pk, now.date() - WINDOW]
    return database.read(FeeTier, REACHED, params)[0]


def fees_of(customer: User, now: datetime) -> Fees:
    """Say what a customer pays, and what more volume would change."""
    units = _days(customer, now).aggregate(units=Sum("volume"))["units"] or 0
    schedule = schedule_of(now.date())
    volume = Amount(units, USD).decimal
    tier = [tier for tier in schedule if tier.min_volume_usd <= volume][-1]
    return Fees(volume, tier, schedule)


def schedule_of(day: date) -> list[FeeTier]:
    """List the tiers in force on a day, from the lowest volume up."""
    newest = in_force(day).order_by("min_volume_usd", "-since").distinct("min_volume_usd")
    return list(newest)


def in_force(day: date) -> QuerySet[FeeTier]:
    """List the tiers' rows that have begun by a day, superseded ones included."""
    return FeeTier.objects.filter(since__lte=day)


def _days(customer: User, now: datetime) -> QuerySet[DailyVolume]:
    return DailyVolume.objects.filter(customer=customer, day__gt=now.date() - WINDOW)
