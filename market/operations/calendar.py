"""The calendar of the shares' own exchange, holidays and early closes included."""

from datetime import date, datetime, timedelta

from market import gateways
from market.models import ExchangeDay

BEHIND = timedelta(days=7)
AHEAD = timedelta(days=370)


def load_calendar(*, now: datetime) -> int:
    """Write the exchange's hours, day by day, from a week ago to a year ahead. Safe to repeat.

    It brings a large library into memory: run it in a process that ends.

    :returns: how many days are known from now on
    """
    since, until = (now - BEHIND).date(), (now + AHEAD).date()
    hours = gateways.exchange_hours(since, until)
    days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
    ExchangeDay.objects.bulk_create(
        [_day(day, hours.get(day)) for day in days],
        update_conflicts=True,
        unique_fields=["date"],
        update_fields=["opens_at", "closes_at"],
    )
    return (until - now.date()).days


def _day(day: date, hours: tuple[datetime, datetime] | None) -> ExchangeDay:
    opens_at, closes_at = hours or (None, None)
    return ExchangeDay(date=day, opens_at=opens_at, closes_at=closes_at)
