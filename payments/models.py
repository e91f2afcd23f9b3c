"""Money in.

A customer asks for a deposit and gets an *instruction*: bank details and a reference. When the
money arrives, the bank says so by a signed webhook; its external id is unique here, so the same
news twice is one journal (external → customer). Money that arrives without a known reference is
kept as unmatched, for staff.
"""

from django.conf import settings
from django.db import models
from django.db.models import Q
from uuid_utils.compat import uuid7

from ledger.models import Asset, Journal


class DepositInstruction(models.Model):
    """A deposit a customer announced; `amount_units` in units of the asset."""

    class Status(models.TextChoices):
        WAITING = "waiting"
        COMPLETED = "completed"
        EXPIRED = "expired"

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deposits"
    )
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    amount_units = models.BigIntegerField()
    reference = models.CharField(max_length=16, unique=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    created_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_units__gt=0), name="deposit_positive"),
            models.CheckConstraint(
                condition=Q(status="completed", completed_at__isnull=False)
                | (~Q(status="completed") & Q(completed_at__isnull=True)),
                name="deposit_completed_iff_dated",
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"], condition=Q(status="waiting"), name="deposit_waiting"
            )
        ]

    def __str__(self) -> str:
        return self.reference


class BankCredit(models.Model):
    """Money the bank says it received for us, by the bank's own id."""

    external_id = models.CharField(max_length=64, unique=True)
    reference = models.CharField(max_length=140)
    amount_units = models.BigIntegerField()
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    instruction = models.ForeignKey(
        DepositInstruction, null=True, on_delete=models.PROTECT, related_name="credits"
    )
    journal = models.OneToOneField(
        Journal, null=True, on_delete=models.PROTECT, related_name="bank_credit"
    )
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_units__gt=0), name="bank_credit_positive"),
            models.CheckConstraint(
                condition=Q(instruction__isnull=True, journal__isnull=True)
                | Q(instruction__isnull=False, journal__isnull=False),
                name="bank_credit_matched_iff_posted",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id
