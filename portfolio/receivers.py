"""What the portfolio does when others announce something."""

from collections.abc import Sequence
from typing import Any

from django.dispatch import receiver

from portfolio import operations
from trading.signals import trades_settled


@receiver(trades_settled)
def mark_lots_due(sender: Any, *, trade_ids: Sequence[int], **_: Any) -> None:
    """Mark the lots of settled trades as due, in the settling transaction."""
    operations.mark_lots_due(trade_ids=trade_ids)
