"""Money in, and the house's own.

A customer asks for a deposit and gets an *instruction*: bank details and a reference. When the
money arrives, the bank says so by a signed webhook; its external id is unique here, so the same
news twice is one journal (external → customer). Money that arrives without a known reference is
kept as unmatched, for staff.

The house gets money and tokens by *treasury movements*; staff correct what is wrong by an
*adjustment* of a customer's dollars or the *reversal* of a journal. Two people decided on each:
the row names their proposal, and the database holds it to what they approved.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from ledger.models import Account, Asset, Journal
from users.models import Proposal


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


class BankPolicy(models.Model):
    """Which money is posted without staff, from a date on; amounts in dollars."""

    since = models.DateField(unique=True)
    tolerance_usd = models.DecimalField(max_digits=12, decimal_places=2)  # from what was announced
    largest_usd = models.PositiveBigIntegerField()  # of one credit
    largest_day_usd = models.PositiveBigIntegerField()  # of one customer, on a day in UTC

    class Meta:
        verbose_name_plural = "bank policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(tolerance_usd__gte=0)
                & Q(largest_usd__gt=0)
                & Q(largest_day_usd__gte=F("largest_usd"))
                & Q(largest_day_usd__lte=10**12),
                name="bank_policy_sound",
            )
        ]

    def __str__(self) -> str:
        return f"from {self.since}"


class BankCredit(models.Model):
    """Money the bank says it received for us, by the bank's own id.

    `instruction` is what its reference means, `user` who got it: by that instruction, or by the
    proposal that two people decided.
    """

    class Status(models.TextChoices):
        POSTED = "posted"
        WAITING = "waiting"
        RETURNED = "returned"  # to the sender, at the bank

    class Waiting(models.TextChoices):
        UNKNOWN_REFERENCE = "unknown_reference", "Nobody announced it"
        COMPLETED = "completed", "What was announced has arrived before"
        AMOUNT_DIFFERS = "amount_differs", "Another amount was announced"
        TOO_LARGE = "too_large", "Larger than policy posts by itself"
        TOO_MUCH_TODAY = "too_much_today", "More in a day than policy posts by itself"
        ACCOUNT_STOPPED = "account_stopped", "The account may not deposit"
        UNCOUNTABLE = "uncountable", "More than can be counted"

    external_id = models.CharField(max_length=64, unique=True)
    reference = models.CharField(max_length=140)
    amount_units = models.BigIntegerField()
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    instruction = models.ForeignKey(
        DepositInstruction, null=True, on_delete=models.PROTECT, related_name="credits"
    )
    status = models.CharField(max_length=8, choices=Status)
    waits_for = models.CharField(max_length=20, choices=Waiting, blank=True)  # or waited
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="bank_credits"
    )
    proposal = models.OneToOneField(
        Proposal, null=True, on_delete=models.PROTECT, related_name="bank_credit"
    )
    journal = models.OneToOneField(
        Journal, null=True, on_delete=models.PROTECT, related_name="bank_credit"
    )
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_units__gt=0), name="bank_credit_positive"),
            models.CheckConstraint(
                condition=Q(status="posted", user__isnull=False, journal__isnull=False)
                | (~Q(status="posted") & Q(user__isnull=True, journal__isnull=True)),
                name="bank_credit_posted_iff_journal",
            ),
            models.CheckConstraint(
                condition=(Q(status="posted") | ~Q(waits_for=""))
                & (~Q(status="returned") | Q(proposal__isnull=False))
                & (~Q(status="waiting") | Q(proposal__isnull=True)),
                name="bank_credit_says_why",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(status="waiting"), name="bank_credit_waiting"),
            models.Index(fields=["user", "received_at"], name="bank_credit_of_day"),
        ]

    def __str__(self) -> str:
        return self.external_id


class TreasuryMovement(models.Model):
    """Money or tokens of the house: in from bank or issuer, or out again; units of the asset."""

    class Kind(models.TextChoices):
        CAPITAL = "capital"  # from the bank to the house
        CAPITAL_OUT = "capital_out"
        ISSUE = "issue"  # from the issuer to the house
        REDEEM = "redeem"

    class Purse(models.TextChoices):
        LIQUIDITY = Account.Role.LIQUIDITY
        DEALER = Account.Role.DEALER

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    kind = models.CharField(max_length=12, choices=Kind)
    purse = models.CharField(max_length=16, choices=Purse)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    amount_units = models.BigIntegerField()
    reference = models.CharField(max_length=64)  # the bank's or the issuer's
    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="+")
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="+")
    moved_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reference", "kind", "purse", "asset"], name="treasury_once_by_reference"
            ),
            models.CheckConstraint(condition=Q(amount_units__gt=0), name="treasury_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class Adjustment(models.Model):
    """Dollars given to a customer (+) or taken (-), on account of the house's fees; USD units."""

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="adjustments"
    )
    amount_units = models.BigIntegerField()
    message = models.CharField(max_length=200)  # what the customer is told
    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="+")
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="+")
    adjusted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(amount_units=0), name="adjustment_moves"),
            models.CheckConstraint(condition=~Q(message=""), name="adjustment_says_why"),
        ]

    def __str__(self) -> str:
        return f"{self.amount_units:+} for {self.user_id}"


class Reversal(models.Model):
    """A treasury movement or an adjustment that was wrong, mirrored."""

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    original = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="+")
    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="+")
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="+")
    reversed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"reversal of journal {self.original_id}"


class BankStatement(models.Model):
    """A day at the bank, as the bank states it; USD units. `fault` says what does not add up."""

    day = models.DateField(unique=True)
    opening_units = models.BigIntegerField()
    closing_units = models.BigIntegerField()
    fault = models.CharField(max_length=200, blank=True)
    imported_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"statement of {self.day}"


class StatementEntry(models.Model):
    """One movement that the bank stated, once by its own id; negative where money left.

    `fault` says why it is not explained: by a bank credit or a treasury movement of its amount.
    """

    statement = models.ForeignKey(BankStatement, on_delete=models.PROTECT, related_name="entries")
    external_id = models.CharField(max_length=64, unique=True)
    reference = models.CharField(max_length=140, blank=True)
    amount_units = models.BigIntegerField()
    booked_on = models.DateField()
    fault = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "statement entries"
        indexes = [models.Index(fields=["id"], condition=~Q(fault=""), name="statement_fault")]

    def __str__(self) -> str:
        return self.external_id
