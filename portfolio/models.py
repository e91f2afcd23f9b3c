"""What a customer's shares cost, and what they earned.

Quantities are the ledger's; this app adds what they cost. Every settled trade is booked once:
a buy opens a *lot*, a sell closes the oldest lots first (FIFO), and the difference between what
came in and what the closed part had cost is realized. Quantities are base units, money USD units.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from instruments.models import Instrument
from trading.models import Trade


class LotDue(models.Model):
    """A settled trade whose lots are still to be booked; written by its settlement."""

    trade = models.OneToOneField(Trade, on_delete=models.PROTECT, related_name="lot_due")

    def __str__(self) -> str:
        return f"due {self.trade_id}"


class Lot(models.Model):
    """Shares bought in one trade, and what of them is left."""

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="lots"
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="lots")
    trade = models.OneToOneField(Trade, on_delete=models.PROTECT, related_name="lot")
    acquired_at = models.DateTimeField()
    quantity = models.BigIntegerField()
    cost = models.BigIntegerField()  # fee included
    remaining = models.BigIntegerField()
    remaining_cost = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0) & Q(remaining__gte=0) & Q(remaining__lte=F("quantity")),
                name="lot_remaining_within",
            )
        ]
        indexes = [
            models.Index(
                fields=["customer", "instrument", "acquired_at", "id"],
                condition=Q(remaining__gt=0),
                name="lot_open",
            )
        ]

    def __str__(self) -> str:
        return f"lot {self.trade_id}"


class LotClosing(models.Model):
    """A part of a lot closed by a sale: what it brought in less what it had cost is realized."""

    lot = models.ForeignKey(Lot, on_delete=models.PROTECT, related_name="closings")
    trade = models.ForeignKey(Trade, on_delete=models.PROTECT, related_name="lot_closings")
    quantity = models.BigIntegerField()
    cost = models.BigIntegerField()
    proceeds = models.BigIntegerField()  # fee taken off
    closed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["lot", "trade"], name="lot_closing_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="lot_closing_positive"),
        ]

    def __str__(self) -> str:
        return f"closing of {self.lot_id}"
