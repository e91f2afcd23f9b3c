"""What the portfolio does when others announce something."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from instruments.models import Instrument
from portfolio import operations, queries
from trading.signals import sale_considered, trades_settled
from users.models import User


@receiver(trades_settled)
def mark_lots_due(sender: Any, *, trade_ids: Sequence[int], **_: Any) -> None:
    """Mark the lots of settled trades as due, in the settling transaction."""
    operations.mark_lots_due(trade_ids=trade_ids)


@receiver(sale_considered)
def weigh_sale(
    sender: Any, *, customer: User, instrument: Instrument, quantity: int, proceeds: int, **_: Any
) -> int | None:
    """Say what a sale would gain against what the oldest lots cost."""
    return queries.gain_of_sale(customer, instrument, quantity=quantity, proceeds=proceeds)
