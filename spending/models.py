"""Paying with a card, in cash or in shares.

The card network asks for an *authorization* by a signed webhook and wants an answer within two
seconds. The answer, the hold it rests on, and the sale of shares that pays for it (to the house
dealer, at its standing quote) are written in one transaction, and the stored answer is what a
repeated request gets, byte for byte. *Clearing* then takes the money for good, in one journal.
A card's number and security code are never here: only brand, last four digits, expiry and a token.

What the network says later about an authorization (more, less, done, given back) comes as *events*,
each remembered with its answer, so that a repeated one changes nothing. An id that comes again and
says something else is refused and reported: the `digest` of what was said tells the two apart.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from ledger.models import Asset, Hold, Journal
from trading.models import Trade
from users.models import Proposal


class Card(models.Model):
    """A customer's card."""

    class Status(models.TextChoices):
        INACTIVE = "inactive"
        ACTIVE = "active"
        FROZEN = "frozen"
        CANCELLED = "cancelled"

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="cards"
    )
    token = models.CharField(max_length=64, unique=True)
    brand = models.CharField(max_length=20)
    last_four = models.CharField(max_length=4)
    expires_on = models.DateField()
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    frozen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )  # null while frozen: the platform, over a shortfall
    frozen_reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status="frozen") | Q(frozen_by__isnull=True, frozen_reason=""),
                name="card_frozen_facts_only_while_frozen",
            )
        ]
        indexes = [models.Index(fields=["user", "-id"], name="card_by_user")]
        permissions = [("freeze_card", "Can freeze and unfreeze cards")]

    def __str__(self) -> str:
        return f"{self.brand} ···· {self.last_four}"


class FundingSource(models.Model):
    """What pays for a card, in order; `keep_units` of it are never spent."""

    card = models.ForeignKey(Card, on_delete=models.CASCADE, related_name="sources")
    position = models.PositiveSmallIntegerField()
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="+")
    keep_units = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["card", "position"], name="funding_position_once"),
            models.UniqueConstraint(fields=["card", "asset"], name="funding_asset_once"),
            models.CheckConstraint(
                condition=Q(keep_units__gte=0), name="funding_keep_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position}. {self.asset_id}"


class Authorization(models.Model):
    """What a merchant asked for and what we answered; amounts in USD units.

    authorized = captured + reversed + expired + what is pending, which is what the hold has left.
    A clearing may take more than was authorized; that part is the movement's, not counted here.
    Who asks for 0 checks whether the card is good, and is answered without a hold.
    """

    class Decision(models.TextChoices):
        APPROVED = "approved"
        PARTIAL = "partial"
        DECLINED = "declined"

    class Status(models.TextChoices):
        PENDING = "pending"
        CLOSED = "closed"
        REVERSED = "reversed"
        EXPIRED = "expired"
        DECLINED = "declined"

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    external_id = models.CharField(max_length=64, unique=True)
    card = models.ForeignKey(Card, on_delete=models.PROTECT, related_name="authorizations")
    merchant = models.CharField(max_length=100)
    mcc = models.CharField(max_length=4)
    requested_units = models.BigIntegerField()
    decision = models.CharField(max_length=8, choices=Decision)
    reason = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=8, choices=Status)
    authorized_units = models.BigIntegerField(default=0)
    captured_units = models.BigIntegerField(default=0)
    reversed_units = models.BigIntegerField(default=0)
    expired_units = models.BigIntegerField(default=0)
    hold = models.OneToOneField(
        Hold, null=True, on_delete=models.PROTECT, related_name="authorization"
    )
    answer = models.TextField()  # the bytes that were answered
    digest = models.CharField(max_length=64, blank=True)  # of the request; empty in old rows
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(requested_units__gte=0) & Q(authorized_units__gte=0),
                name="authorization_amounts",
            ),
            models.CheckConstraint(
                condition=Q(decision="declined", hold__isnull=True, authorized_units=0)
                | (~Q(decision="declined") & Q(hold__isnull=False, requested_units__gt=0))
                | Q(
                    decision="approved",
                    status="closed",
                    hold__isnull=True,
                    requested_units=0,
                    authorized_units=0,
                ),
                name="authorization_declined_holds_nothing",
            ),
            models.CheckConstraint(
                condition=Q(captured_units__gte=0)
                & Q(reversed_units__gte=0)
                & Q(expired_units__gte=0)
                & Q(
                    authorized_units__gte=F("captured_units")
                    + F("reversed_units")
                    + F("expired_units")
                ),
                name="authorization_parts_within",
            ),
            models.CheckConstraint(
                condition=Q(status="pending", closed_at__isnull=True)
                | (~Q(status="pending") & Q(closed_at__isnull=False)),
                name="authorization_closed_iff_done",
            ),
        ]
        indexes = [
            models.Index(fields=["card", "-id"], name="authorization_by_card"),
            models.Index(
                fields=["expires_at"], condition=Q(status="pending"), name="authorization_pending"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.merchant} {self.decision}"

    @property
    def pending_units(self) -> int:
        """USD units still set aside for the merchant."""
        gone = self.captured_units + self.reversed_units + self.expired_units
        return self.authorized_units - gone


class CardSale(models.Model):
    """Shares that were sold to the house dealer to pay for an authorization.

    A purchase that is reversed at once undoes them: the dealer sells them back at the same price
    and the fee comes back, unless the price has risen above the `reference` of the sale.
    """

    authorization = models.ForeignKey(Authorization, on_delete=models.PROTECT, related_name="sales")
    trade = models.OneToOneField(Trade, on_delete=models.PROTECT, related_name="card_sale")
    reference = models.DecimalField(max_digits=16, decimal_places=6, null=True)  # null in old rows
    undone_by = models.OneToOneField(
        Trade, null=True, on_delete=models.PROTECT, related_name="undone_card_sale"
    )

    def __str__(self) -> str:
        return f"sale for {self.authorization_id}"


class CardMovement(models.Model):
    """Money the network took or gave back, once for each external id; USD units."""

    class Kind(models.TextChoices):
        CLEARING = "clearing"
        REFUND = "refund"

    class Odd(models.TextChoices):
        EARLY = "early", "refunded before it was taken"
        MORE = "more", "more refunded than was taken"

    external_id = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=10, choices=Kind)
    odd = models.CharField(max_length=5, choices=Odd, blank=True)  # what staff should look at
    authorization = models.ForeignKey(
        Authorization, null=True, on_delete=models.PROTECT, related_name="movements"
    )
    card = models.ForeignKey(Card, on_delete=models.PROTECT, related_name="movements")
    merchant = models.CharField(max_length=100)
    mcc = models.CharField(max_length=4)
    amount_units = models.BigIntegerField()
    shortfall_units = models.BigIntegerField(default=0)  # what the house paid, and is owed
    journal = models.OneToOneField(Journal, on_delete=models.PROTECT, related_name="card_movement")
    posted_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_units__gt=0)
                & Q(shortfall_units__gte=0)
                & Q(shortfall_units__lte=F("amount_units")),
                name="card_movement_positive",
            )
        ]
        indexes = [models.Index(fields=["card", "-id"], name="card_movement_by_card")]

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"


class DebtReduction(models.Model):
    """A part of what a customer owed after a shortfall: taken from their cash, or forgiven.

    What the house paid left its books at the shortfall, so that forgiving moves no money.
    """

    class Kind(models.TextChoices):
        RECOVERED = "recovered"
        FORGIVEN = "forgiven"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="debt_reductions"
    )
    kind = models.CharField(max_length=9, choices=Kind)
    amount_units = models.BigIntegerField()
    journal = models.OneToOneField(
        Journal, null=True, on_delete=models.PROTECT, related_name="debt_reduction"
    )
    proposal = models.OneToOneField(
        Proposal, null=True, on_delete=models.PROTECT, related_name="debt_reduction"
    )
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount_units__gt=0), name="debt_reduction_positive"),
            models.CheckConstraint(
                condition=Q(kind="recovered", journal__isnull=False, proposal__isnull=True)
                | Q(kind="forgiven", journal__isnull=True, proposal__isnull=False),
                name="debt_reduction_explained",
            ),
        ]
        indexes = [models.Index(fields=["user"], name="debt_reduction_by_user")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount_units}"


class CardEvent(models.Model):
    """What the network told us after an authorization, by its own id, and what we answered."""

    external_id = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=32)
    card = models.ForeignKey(Card, on_delete=models.PROTECT, related_name="events")
    authorization = models.ForeignKey(
        Authorization, null=True, on_delete=models.PROTECT, related_name="events"
    )
    amount_units = models.BigIntegerField()
    answer = models.TextField()  # the bytes that were answered
    digest = models.CharField(max_length=64, blank=True)  # of the event; empty in old rows
    received_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.kind} {self.external_id}"
