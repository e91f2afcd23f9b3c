"""Who owns what.

An *asset* is anything that can be counted: a dollar, a tokenized share. An *account* holds one
asset for one owner in one role. A *transfer* moves an amount from one account (debited) to another
(credited), so over all accounts every asset always sums to zero. A *journal* groups the transfers
of one event under a unique key, which makes posting safe to repeat; its *kind* is of a closed list,
and says which business rows explain it, to the unit. A *hold* sets a part of an
account aside for one purpose; it is captured (with a journal) or released, entry by entry. A
*claim* is what an account owes: whatever becomes available there is set aside for it first.

The app may only insert here. `posted`, `held`, `remaining` and `owed` are kept by statement-level
triggers (migrations 0002, 0006), which run as the owner of the tables; see docs/ledger.md.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7


class Asset(models.Model):
    """Something countable; a unit is `10 ** -scale` of it."""

    class Kind(models.TextChoices):
        FIAT = "fiat"
        TOKEN = "token"  # noqa: S105

    code = models.CharField(max_length=16, unique=True)
    scale = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=8, choices=Kind)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scale__lte=12), name="asset_scale_at_most_12")
        ]

    def __str__(self) -> str:
        return self.code


class Account(models.Model):
    """One asset of one owner (the house where there is none) in one role, in units."""

    class Role(models.TextChoices):
        CUSTOMER = "customer"
        EXTERNAL = "external"  # banks and chains: what is outside mirrors what is inside
        ISSUER = "issuer"
        FEES = "fees"
        REWARDS = "rewards"
        CARD_SETTLEMENT = "card_settlement"
        RECEIVABLE = "receivable"
        LIQUIDITY = "liquidity"
        DEALER = "dealer"

    OVERDRAFT_ROLES = (Role.EXTERNAL, Role.ISSUER, Role.FEES)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="accounts"
    )
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="accounts")
    role = models.CharField(max_length=16, choices=Role)
    posted = models.BigIntegerField(db_default=0)
    held = models.BigIntegerField(db_default=0)
    overdraft = models.GeneratedField(
        expression=models.ExpressionWrapper(
            Q(role__in=[r.value for r in OVERDRAFT_ROLES]), output_field=models.BooleanField()
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "asset", "role"], nulls_distinct=False, name="account_unique"
            ),
            models.UniqueConstraint(fields=["id", "asset"], name="account_id_asset"),
            models.CheckConstraint(
                condition=Q(role="customer", owner__isnull=False)
                | Q(~Q(role="customer"), owner__isnull=True),
                name="account_customer_iff_owned",
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0) & (Q(overdraft=True) | Q(posted__gte=F("held"))),
                name="account_covers_holds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.asset_id} of {self.owner_id or 'house'}"

    @property
    def available(self) -> int:
        """Units that are neither spent nor set aside."""
        return self.posted - self.held


class JournalKind(models.Model):
    """One kind of event in the books; only a migration of the app that writes it adds one.

    `guard` names the trigger that refuses a journal of this kind unless business rows explain it.
    """

    name = models.CharField(max_length=32, primary_key=True)
    guard = models.CharField(max_length=63)

    def __str__(self) -> str:
        return self.name


class Journal(models.Model):
    """One event in the books. Its key says which, so that it is posted once.

    The foreign key `journal_kind_listed` holds `kind` to the list; see migration 0004. Its
    transfers are written with it, in one transaction, and none is added later.
    """

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    reverses = models.OneToOneField(
        "self", null=True, on_delete=models.PROTECT, related_name="reversed_by"
    )

    def __str__(self) -> str:
        return self.key


class Transfer(models.Model):
    """So many units from one account to another, both of the transfer's asset.

    Composite foreign keys (debit, asset) and (credit, asset) hold it to that; see migration 0002.
    """

    journal = models.ForeignKey(Journal, on_delete=models.PROTECT, related_name="transfers")
    asset = models.ForeignKey(
        Asset, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    debit = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        related_name="debits",
        db_constraint=False,
        db_index=False,
    )
    credit = models.ForeignKey(
        Account,
        on_delete=models.PROTECT,
        related_name="credits",
        db_constraint=False,
        db_index=False,
    )
    amount = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="transfer_two_accounts"),
        ]
        indexes = [  # with the journal: what an account took part in is listed from them alone
            models.Index(fields=["debit", "journal"], name="transfer_debits"),
            models.Index(fields=["credit", "journal"], name="transfer_credits"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} from {self.debit_id} to {self.credit_id}"


class Hold(models.Model):
    """A part of an account set aside: `remaining` units of it, for one purpose."""

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="holds")
    purpose = models.CharField(max_length=64)
    remaining = models.BigIntegerField(db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["id", "account"], name="hold_id_account"),
            models.CheckConstraint(condition=Q(remaining__gte=0), name="hold_not_negative"),
        ]

    def __str__(self) -> str:
        return self.purpose


class HoldEntry(models.Model):
    """A change of a hold: set aside (+), or captured by a journal or released (-)."""

    hold = models.ForeignKey(
        Hold, on_delete=models.PROTECT, related_name="entries", db_constraint=False
    )
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="+", db_index=False, db_constraint=False
    )
    delta = models.BigIntegerField()
    journal = models.ForeignKey(
        Journal, null=True, on_delete=models.PROTECT, related_name="captures"
    )
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "hold entries"
        constraints = [
            models.CheckConstraint(condition=~Q(delta=0), name="hold_entry_moves"),
            models.CheckConstraint(
                condition=Q(journal__isnull=True) | Q(delta__lt=0), name="hold_entry_capture_takes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delta:+} on hold {self.hold_id}"


class Claim(models.Model):
    """What an account owes, in units: its hold is filled up to that before anything else is.

    The trigger that posts a transfer or applies a release fills it, in the same statement. What the
    hold has is then captured by the journal that pays, and `owed` falls by as much.
    """

    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="claim")
    hold = models.OneToOneField(Hold, on_delete=models.PROTECT, related_name="claim")
    owed = models.BigIntegerField(db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(owed__gte=0), name="claim_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.owed} owed by account {self.account_id}"


class ClaimEntry(models.Model):
    """A change of what is owed: more (+), or paid or waived (-)."""

    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="entries")
    delta = models.BigIntegerField()
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "claim entries"
        constraints = [
            models.CheckConstraint(condition=~Q(delta=0), name="claim_entry_moves"),
        ]

    def __str__(self) -> str:
        return f"{self.delta:+} on claim {self.claim_id}"
