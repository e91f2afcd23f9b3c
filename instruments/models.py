"""What may be traded, and what backs it.

An instrument is a tokenized share: a bearer tracker certificate, backed one to one by the share at
a custodian. It is traded against dollars. Balances are kept in *base* units of the instrument's
asset (10^-8); shares are base units times the *multiplier*, which grows when a dividend is
reinvested and jumps when a share is split.
"""

from decimal import Decimal

from django.db import models
from django.db.models import Q

from ledger.models import Asset

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
