"""What the market does when others announce something."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.dispatch import receiver

from instruments.signals import multiplier_changed
from market import operations


@receiver(multiplier_changed)
def count_by_it(
    sender: Any,
    *,
    instrument_id: int,
    before: Decimal,
    after: Decimal,
    splits: bool,
    at: datetime,
    **_: Any,
) -> None:
    """Let prices count by the new multiplier, in the transaction that sets it."""
    operations.follow_multiplier(
        instrument_id=instrument_id, before=before, after=after, splits=splits, at=at
    )
