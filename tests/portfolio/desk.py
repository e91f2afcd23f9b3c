"""The portfolio's tests trade with the house: it settles at once."""

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

import portfolio.operations
import trading.operations
from instruments.models import Instrument
from market.models import Candle, ReferencePrice
from tests import world
from trading.models import Trade
from users.models import User

numbers = itertools.count(1)


def trade(
    user: User,
    side: str,
    shares: str,
    symbol: str = "AAPLx",
    *,
    price: str = "100",
    rate: str = "0",
    **when: Any,
) -> Trade:
    """Buy from the house or sell to it; `minutes` after the world's now, and not booked yet."""
    of = world.instrument(symbol)
    world.stock_house(of)
    at = world.NOW + timedelta(**when)
    return trading.operations.trade_with_house(
        customer=user,
        instrument=of,
        side=side,
        quantity=int(Decimal(shares) * 10**8),
        price=Decimal(price),
        now=at,
        key=f"desk:{next(numbers)}",
        rate=Decimal(rate),
    )


def book() -> int:
    """Book the lots that are due."""
    return portfolio.operations.book_lots()


def price(of: Instrument, now: str, *, before: str) -> None:
    """Let the feed say what a share is worth, and was a day ago."""
    ReferencePrice.objects.update_or_create(
        instrument=of,
        defaults={
            "price": now,
            "day_open": before,
            "multiplier": of.multiplier,
            "simulated": True,
            "at": world.NOW,
        },
    )


def candle(of: Instrument, interval: str, at: Any, close: str) -> None:
    """Let the reference price have closed somewhere."""
    Candle.objects.create(
        instrument=of,
        kind="reference",
        interval=interval,
        time=at,
        open=close,
        high=close,
        low=close,
        close=close,
    )
