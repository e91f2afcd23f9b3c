"""What a customer keeps an eye on."""

from datetime import datetime

from instruments.models import Instrument
from market.models import Star
from users.models import User


def star(*, instrument: Instrument, customer: User, now: datetime) -> None:
    """Put an instrument on the customer's watchlist; twice is once."""
    Star.objects.get_or_create(
        customer=customer, instrument=instrument, defaults={"starred_at": now}
    )


def unstar(*, instrument: Instrument, customer: User) -> None:
    """Take an instrument off the customer's watchlist."""
    Star.objects.filter(customer=customer, instrument=instrument).delete()
