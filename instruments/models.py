"""What may be traded, and what backs it.

An instrument is a tokenized share: a bearer tracker certificate, backed one to one by the share at
a custodian. It is traded against dollars. Balances are kept in *base* units of the instrument's
asset (10^-8); shares are base units times the *multiplier*, which grows when a dividend is
reinvested and jumps when a share is split. Only a *corporate action* changes a multiplier: two
people decide on it ahead of its time, and the database refuses any other change.
"""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from uuid_utils.compat import uuid7

from instruments import rules
from ledger.models import Asset
from users.models import Proposal

CHAIN_NAMES = {"bsc": "BNB Chain", "hyperevm": "HyperEVM", "xlayer": "X Layer"}


class Instrument(models.Model):
    """A tokenized share that customers can trade against USD."""

    class Type(models.TextChoices):
        STOCK = "stock", "Stock"
        ETF = "etf", "ETF"

    class Hours(models.TextChoices):
        ALWAYS = "24/7"
        WEEKDAYS = "24/5"  # Sunday 20:00 to Friday 20:00, New York

    asset = models.OneToOneField(Asset, on_delete=models.PROTECT, related_name="instrument")
    symbol = models.CharField(max_length=16, unique=True)
    underlying = models.CharField(max_length=16)
    name = models.CharField(max_length=80)
    type = models.CharField(max_length=8, choices=Type)
    isin = models.CharField(max_length=12, blank=True)  # empty where the issuer's list has none
    underlying_isin = models.CharField(max_length=12, blank=True)
    solana_mint = models.CharField(max_length=64, blank=True)
    evm_address = models.CharField(max_length=42, blank=True)
    evm_chains = models.CharField(max_length=200, blank=True)
    hours = models.CharField(max_length=4, choices=Hours)
    tick_size = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal("0.01"))
    quantity_step = models.DecimalField(
        max_digits=12, decimal_places=8, default=Decimal("0.00000001")
    )
    min_notional = models.DecimalField(max_digits=12, decimal_places=6, default=Decimal("0.5"))
    multiplier = models.DecimalField(max_digits=30, decimal_places=18, default=Decimal(1))
    demo_price = models.DecimalField(max_digits=16, decimal_places=6)
    listed = models.BooleanField(default=True)
    # All it is found by, in small letters and digits alone: ticker, name, brands, former names.
    names = ArrayField(models.CharField(max_length=80), default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["isin"], condition=~Q(isin=""), name="instrument_isin_once"
            ),
            models.CheckConstraint(condition=Q(tick_size__gt=0), name="instrument_tick_positive"),
            models.CheckConstraint(
                condition=Q(multiplier__gt=0), name="instrument_multiplier_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.symbol

    @property
    def pair(self) -> str:
        """The market's name on the socket: AAPLx/USD."""
        return f"{self.symbol}/USD"

    @property
    def chains(self) -> list[str]:
        """The EVM chains that carry the token, by the names people use; one address on all."""
        return [CHAIN_NAMES.get(chain, chain.capitalize()) for chain in self.evm_chains.split()]

    @property
    def price_decimals(self) -> int:
        """How many decimals a price has: two for a tick of 0.01."""
        return max(-int(self.tick_size.normalize().as_tuple().exponent), 0)

    def quoted(self, price: Decimal) -> Decimal:
        """Write a price with as many decimals as the tick has: 278.5 is 278.50."""
        return price.quantize(self.tick_size.normalize())


class CorporateAction(models.Model):
    """An event of the issuer that changes what base units of an instrument stand for.

    Scheduled by two people, it halts the market shortly before `effective_at`, orders the engine to
    change the multiplier then, and lets the market go on once that has happened. Its terms never
    change. `corporate_action_factor` (of the migration) ties `multiplier_after` to them.
    """

    class Kind(models.TextChoices):
        SPLIT = rules.SPLIT, "Split"
        REVERSE_SPLIT = rules.REVERSE_SPLIT, "Reverse split"
        DIVIDEND = rules.DIVIDEND, "Reinvested dividend"

    class Status(models.TextChoices):
        SCHEDULED = "scheduled"
        HALTED = "halted"  # the engine was told to halt the market
        ORDERED = "ordered"  # the engine was told the multiplier
        DONE = "done"
        CANCELLED = "cancelled"

    LIVE = (Status.SCHEDULED, Status.HALTED, Status.ORDERED)

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    instrument = models.ForeignKey(
        Instrument, on_delete=models.PROTECT, related_name="corporate_actions"
    )
    kind = models.CharField(max_length=14, choices=Kind)
    event = models.CharField(max_length=200)  # the issuer's announcement
    ratio_to = models.PositiveIntegerField(null=True)
    ratio_from = models.PositiveIntegerField(null=True)
    net_amount = models.DecimalField(max_digits=16, decimal_places=6, null=True)  # USD a share
    reinvestment_price = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    multiplier_before = models.DecimalField(max_digits=30, decimal_places=18)
    multiplier_after = models.DecimalField(max_digits=30, decimal_places=18)
    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="+")
    scheduled_at = models.DateTimeField()
    effective_at = models.DateTimeField()

    # How far it is: all that changes
    status = models.CharField(max_length=9, choices=Status, default=Status.SCHEDULED)
    state_before = models.CharField(max_length=12, blank=True)  # the market's, before the halt
    halted_at = models.DateTimeField(null=True)
    ordered_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("cancel_corporateaction", "Can cancel a corporate action at once")]
        constraints = [
            models.UniqueConstraint(
                fields=["instrument"],
                condition=Q(status__in=["scheduled", "halted", "ordered"]),
                name="corporate_action_one_at_a_time",
            ),
            models.UniqueConstraint(
                fields=["instrument", "event"],
                condition=~Q(status="cancelled"),
                name="corporate_action_event_once",
            ),
            models.CheckConstraint(
                condition=Q(effective_at__gt=F("scheduled_at")), name="corporate_action_ahead"
            ),
            models.CheckConstraint(
                condition=Q(
                    kind="split",
                    ratio_to__gt=F("ratio_from"),
                    ratio_from__gte=1,
                    ratio_to__lte=rules.BIGGEST_RATIO,
                    net_amount=None,
                    reinvestment_price=None,
                )
                | Q(
                    kind="reverse_split",
                    ratio_from__gt=F("ratio_to"),
                    ratio_to__gte=1,
                    ratio_from__lte=rules.BIGGEST_RATIO,
                    net_amount=None,
                    reinvestment_price=None,
                )
                | Q(
                    kind="dividend",
                    ratio_to=None,
                    ratio_from=None,
                    net_amount__gt=0,
                    reinvestment_price__gt=F("net_amount") * 5,
                ),
                name="corporate_action_terms",
            ),
        ]
        indexes = [
            models.Index(
                fields=["effective_at"],
                condition=Q(status__in=["scheduled", "halted", "ordered"]),
                name="corporate_action_live",
            )
        ]

    def __str__(self) -> str:
        return f"{self.instrument}: {self.event}"

    @property
    def title(self) -> str:
        """What holders are told: Apple was split 4 for 1."""
        name = self.instrument.name
        if self.kind == self.Kind.DIVIDEND:
            return f"{name} paid a dividend, which bought more shares"
        return f"{name} was split {self.ratio_to} for {self.ratio_from}"

    @property
    def terms(self) -> rules.Terms:
        """What the issuer announced."""
        return rules.Terms(
            self.kind, self.ratio_to, self.ratio_from, self.net_amount, self.reinvestment_price
        )
