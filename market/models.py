"""What it is worth just now, and what it was worth before.

The *reference price* comes from a feed outside (simulated in the demo, and marked so). Candles of
kind `reference` follow it; candles of kind `tape` are made of trades on our own book, in the
transaction that settles them. What money goes by (collars, marks, quotes, card sales) is the row of
`ReferencePrice`; prices and books also travel through Redis, for eyes only.

A *star* marks an instrument for a customer; their stars are their watchlist.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from instruments.models import Instrument


class ReferencePrice(models.Model):
    """The last price the feed gave for one whole share, and when it last vouched for it.

    The feed writes all rows once a second, in one statement. Nothing indexes what it changes, and a
    page has room for some versions of each row, so that an update stays on its page.
    """

    instrument = models.OneToOneField(
        Instrument, on_delete=models.PROTECT, related_name="reference"
    )
    price = models.DecimalField(max_digits=16, decimal_places=6)
    day_open = models.DecimalField(max_digits=16, decimal_places=6)  # 24 hours ago
    # Shares a base share that it counts by: a feed that has not heard of a split writes nothing.
    multiplier = models.DecimalField(max_digits=30, decimal_places=18, default=1, db_default=1)
    simulated = models.BooleanField()
    at = models.DateTimeField()

    class Meta:
        constraints = [
            # Bounded above as well: NaN is greater than every number.
            models.CheckConstraint(
                condition=Q(price__gt=0, price__lt=10**10), name="reference_price_possible"
            )
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.price}"


class ExchangeDay(models.Model):
    """A day of the shares' own exchange (XNYS), with its hours; none where it stays closed."""

    date = models.DateField(primary_key=True)  # in New York
    opens_at = models.DateTimeField(null=True)
    closes_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(opens_at__isnull=True, closes_at__isnull=True)
                | Q(opens_at__lt=F("closes_at")),
                name="exchange_day_hours",
            )
        ]

    def __str__(self) -> str:
        return f"{self.date}"


class Candle(models.Model):
    """Open, high, low and close of one interval; volume in shares, from the tape only."""

    class Interval(models.TextChoices):
        M1 = "1m"
        M5 = "5m"
        M15 = "15m"
        H1 = "1h"
        H4 = "4h"
        D1 = "1d"
        W1 = "1w"

    class Kind(models.TextChoices):
        REFERENCE = "reference"
        TAPE = "tape"

    pk = models.CompositePrimaryKey("instrument_id", "kind", "interval", "time")
    instrument = models.ForeignKey(
        Instrument, on_delete=models.PROTECT, related_name="candles", db_index=False
    )
    kind = models.CharField(max_length=9, choices=Kind)
    interval = models.CharField(max_length=3, choices=Interval)
    time = models.DateTimeField()
    open = models.DecimalField(max_digits=16, decimal_places=6)
    high = models.DecimalField(max_digits=16, decimal_places=6)
    low = models.DecimalField(max_digits=16, decimal_places=6)
    close = models.DecimalField(max_digits=16, decimal_places=6)
    volume = models.DecimalField(max_digits=24, decimal_places=8, default=0)
    turnover = models.DecimalField(max_digits=32, decimal_places=14, default=0)  # price x shares
    trades = models.PositiveIntegerField(default=0)
    simulated = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(low__lte=F("open"))
                & Q(low__lte=F("close"))
                & Q(high__gte=F("open"))
                & Q(high__gte=F("close")),
                name="candle_ordered",
            )
        ]

    def __str__(self) -> str:
        return f"{self.instrument_id} {self.interval} {self.time:%Y-%m-%d %H:%M}"


class TapeTrade(models.Model):
    """One settled trade of our own book, as the public sees it: who traded is not here.

    Written in the transaction that settles it. Trades of the card dealer are not on the tape.
    """

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    uid = models.UUIDField(unique=True, editable=False)  # the trade's
    instrument = models.ForeignKey(
        Instrument, on_delete=models.PROTECT, related_name="tape", db_index=False
    )
    price = models.DecimalField(max_digits=16, decimal_places=6)
    quantity = models.DecimalField(max_digits=20, decimal_places=8)  # shares
    side = models.CharField(max_length=4, choices=Side)  # the taker's
    at = models.DateTimeField()
    simulated = models.BooleanField(default=False, db_default=False)  # a simulated customer's

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(price__gt=0), name="tape_price_positive"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="tape_quantity_positive"),
        ]
        indexes = [models.Index(fields=["instrument", "at", "id"], name="tape_of_instrument")]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} of {self.instrument_id} at {self.price}"


class Star(models.Model):
    """An instrument that somebody keeps an eye on; their stars together are their watchlist."""

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="stars"
    )
    instrument = models.ForeignKey(
        Instrument, on_delete=models.PROTECT, related_name="stars", db_index=False
    )
    starred_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "instrument"], name="star_once"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} watches {self.instrument_id}"
