"""Orders, and the way from an order to a settled trade.

A customer's *order* comes with a *hold* on what it may cost and a *command* that tells the engine.
The engine, one process for each *shard* of instruments, gives commands a sequence and a time,
matches, and writes *trades* and *releases*. Settlement turns each trade into one journal and each
release into a hold entry, once. After acceptance only the engine changes an order; settlement only
marks trades and releases.

The house does not place orders one by one: it has one standing order of type `quote` on each side
of each book, whose `levels` a quote command replaces at once.

Quantities are base units (10^-8, before the multiplier), money is units of USD (10^-6), prices are
dollars for one whole share.
"""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from uuid_utils.compat import uuid7

from instruments.models import Instrument
from ledger.models import Account, Hold, HoldEntry


class Shard(models.Model):
    """The books one engine writes: its place in the command log, its clock, and its fence.

    A starting engine takes the next `epoch`; a batch of an older epoch changes no row. Commands up
    to `purged_sequence`, the last at `purged_us`, are no longer kept: a snapshot stands for them.
    At `quotes_until_us` the engine withdraws the house's quotes, unless they are confirmed before.
    """

    name = models.CharField(max_length=32, unique=True)
    epoch = models.BigIntegerField(default=0)
    sequence = models.BigIntegerField(default=0)
    priority = models.BigIntegerField(default=0)
    time_us = models.BigIntegerField(default=0)  # engine time, microseconds since the epoch
    purged_sequence = models.BigIntegerField(default=0)
    purged_us = models.BigIntegerField(default=0)
    quotes_until_us = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return self.name


class Snapshot(models.Model):
    """A shard as it was after one command: a replay may begin here.

    `state` is the engine's ShardState as compressed JSON, `state_hash` the engine's own hash of it,
    and `engine_version` names the code that made it, for another may match otherwise.
    """

    shard = models.ForeignKey(Shard, on_delete=models.PROTECT, related_name="snapshots")
    sequence = models.BigIntegerField()
    engine_version = models.CharField(max_length=12)
    state_hash = models.CharField(max_length=64)
    state = models.BinaryField()
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["shard", "sequence", "engine_version"], name="snapshot_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shard_id} after {self.sequence}"


class Book(models.Model):
    """What the engine keeps of one instrument besides its orders."""

    class State(models.TextChoices):
        ONLINE = "online"
        CANCEL_ONLY = "cancel_only"
        POST_ONLY = "post_only"
        LIMIT_ONLY = "limit_only"
        REDUCE_ONLY = "reduce_only"
        MAINTENANCE = "maintenance"
        DELISTED = "delisted"

    class Tier(models.IntegerChoices):
        TIER_1 = 1
        TIER_2 = 2

    instrument = models.OneToOneField(Instrument, on_delete=models.PROTECT, related_name="book")
    shard = models.ForeignKey(Shard, on_delete=models.PROTECT, related_name="books")
    state = models.CharField(max_length=12, choices=State, default=State.ONLINE)
    tier = models.PositiveSmallIntegerField(choices=Tier, default=Tier.TIER_2)  # of price bands
    engine_state = models.JSONField(default=dict)  # the engine's InstrumentState, as persisted
    last_price = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    last_trade_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("halt_market", "Can halt markets")]

    def __str__(self) -> str:
        return f"book of {self.instrument_id}"


class FeeTier(models.Model):
    """What trading costs from a date and a 30-day volume on; a negative rate is a rebate.

    The highest tier whose volume a customer has reached counts, and of its rows the newest that is
    in force: so each tier can be changed by itself.
    """

    since = models.DateField()
    min_volume_usd = models.DecimalField(max_digits=18, decimal_places=2, default=0)
    maker_rate = models.DecimalField(max_digits=9, decimal_places=6)
    taker_rate = models.DecimalField(max_digits=9, decimal_places=6)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["since", "min_volume_usd"], name="fee_tier_once"),
            models.CheckConstraint(condition=Q(taker_rate__gte=0), name="fee_tier_taker_pays"),
            # Who trades with themself under two names would get more back than they pay.
            models.CheckConstraint(
                condition=Q(maker_rate__gte=-F("taker_rate"), maker_rate__lt=1, taker_rate__lt=1),
                name="fee_tier_rebate_is_paid",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.maker_rate} / {self.taker_rate} from {self.min_volume_usd}"


class DailyVolume(models.Model):
    """What a customer bought and sold on the books in a day (UTC), in USD units."""

    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="daily_volumes"
    )
    day = models.DateField()
    volume = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "day"], name="daily_volume_once"),
        ]

    def __str__(self) -> str:
        return f"{self.volume} on {self.day}"


class MarketRule(models.Model):
    """What bounds an order from a date on."""

    since = models.DateField(unique=True)
    collar_open = models.DecimalField(max_digits=6, decimal_places=4)  # share of the reference
    collar_closed = models.DecimalField(max_digits=6, decimal_places=4)
    reference_max_age_s = models.PositiveIntegerField()
    max_open_orders = models.PositiveIntegerField()
    # How old a command may be when the engine takes it: a market order or a quote, and any other
    # that asks for more than a cancel does.
    market_max_age_s = models.PositiveIntegerField(default=5)
    inbox_max_age_s = models.PositiveIntegerField(default=30)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(collar_open__gt=0, collar_open__lt=1)
                & Q(collar_closed__gt=0, collar_closed__lt=1),
                name="market_rule_collars",
            )
        ]

    def __str__(self) -> str:
        return f"from {self.since}"

    def max_age_s(self, *, at_market: bool) -> int:
        """Say how old a command may be when the engine takes it, in seconds."""
        return self.market_max_age_s if at_market else self.inbox_max_age_s


# The types of orders by what they need. A triggered one waits for a price before it meets the book.
LIMITED = ("limit", "stop-loss-limit", "take-profit-limit", "iceberg")
STOPPING = ("stop-loss", "stop-loss-limit", "take-profit", "take-profit-limit")
TRAILING = ("trailing-stop", "trailing-stop-limit")
TRIGGERED = (*STOPPING, *TRAILING)
# A customer's order that waits on after a part of it was filled, or its trigger has fired.
NOTEWORTHY = Q(
    Q(filled__gt=0) | Q(engine_state__triggered=True),
    status__in=("pending", "open", "partially_filled"),
    customer__isnull=False,
    venue="book",
)
AT_MARKET = ("market", "stop-loss", "take-profit", "trailing-stop")


class HousePolicy(models.Model):
    """How the house quotes, and what it does with what it is left with, from a date on.

    Distances are basis points of the reference price, one for each level, best first, and one size
    each. Quotes lean against the house's position by `skew` of the first distance at most, so no
    bid is ever above the reference and no ask below. They stand for `quote_life_s` from when they
    were confirmed last: so long may the house hang before nobody trades at its prices.

    What the dealer buys from cards is bounded over several intervals at once: for each of them so
    many dollars from one customer, in one instrument, and in all.
    """

    since = models.DateField(unique=True)
    floor_bp = ArrayField(models.PositiveSmallIntegerField())  # while New York's floor is open
    extended_bp = ArrayField(models.PositiveSmallIntegerField())  # at other hours of the week
    weekend_bp = ArrayField(models.PositiveSmallIntegerField())
    sizes_usd = ArrayField(models.PositiveIntegerField())
    requote_bp = models.PositiveSmallIntegerField()  # how far the reference moves until then
    quote_life_s = models.PositiveSmallIntegerField(default=5)
    skew = models.DecimalField(max_digits=3, decimal_places=2)
    inventory_usd = models.PositiveIntegerField()  # the position that is leant against in full
    jump_bp = models.PositiveSmallIntegerField()  # a price that leaps further is not believed
    jump_calm_s = models.PositiveSmallIntegerField()  # until it has held for so long
    hedge_usd = models.PositiveIntegerField()  # the dealer hedges a position worth more
    hedge_stands_s = models.PositiveSmallIntegerField()  # then it is priced anew
    hedge_slippage_bp = models.PositiveSmallIntegerField()  # worse than the reference, at most
    refill_s = models.PositiveSmallIntegerField()  # until what the dealer bought is bid for anew
    undo_s = models.PositiveSmallIntegerField()  # a purchase reversed so soon undoes its sales
    card_intervals_s = ArrayField(models.PositiveIntegerField())
    card_customer_usd = ArrayField(models.PositiveIntegerField())
    card_instrument_usd = ArrayField(models.PositiveIntegerField())
    card_total_usd = ArrayField(models.PositiveIntegerField())

    class Meta:
        verbose_name_plural = "house policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(card_intervals_s__len__gt=0)
                & Q(card_customer_usd__len=F("card_intervals_s__len"))
                & Q(card_instrument_usd__len=F("card_intervals_s__len"))
                & Q(card_total_usd__len=F("card_intervals_s__len")),
                name="house_each_interval_its_limits",
            ),
            models.CheckConstraint(
                condition=Q(skew__gte=0, skew__lt=1), name="house_skew_within_spread"
            ),
            models.CheckConstraint(
                condition=Q(floor_bp__len=F("sizes_usd__len"))
                & Q(extended_bp__len=F("sizes_usd__len"))
                & Q(weekend_bp__len=F("sizes_usd__len")),
                name="house_each_level_a_size",
            ),
            models.CheckConstraint(
                condition=Q(
                    inventory_usd__gt=0,
                    hedge_usd__gt=0,
                    hedge_stands_s__gt=0,
                    requote_bp__gt=0,
                    jump_bp__gt=0,
                ),
                name="house_bounds_positive",
            ),
            models.CheckConstraint(  # a limit over no time at all is none
                condition=Q(refill_s__gt=0) & ~Q(card_intervals_s__contains=[0]),
                name="house_intervals_positive",
            ),
            models.CheckConstraint(  # at the reference itself the house would work for nothing
                condition=~Q(floor_bp__contains=[0])
                & ~Q(extended_bp__contains=[0])
                & ~Q(weekend_bp__contains=[0])
                & Q(hedge_slippage_bp__lt=1_000),
                name="house_gives_nothing_away",
            ),
            models.CheckConstraint(  # they are confirmed each second
                condition=Q(quote_life_s__gte=2, quote_life_s__lte=3600), name="house_quote_life"
            ),
        ]

    def __str__(self) -> str:
        return f"from {self.since}"


class BandRule(models.Model):
    """How far trades may be from the reference price, from a date on, before trading pauses.

    A tier may have several: the one with the lowest `below_usd` above the price holds, and the one
    without for all other prices.
    """

    since = models.DateField()
    tier = models.PositiveSmallIntegerField(choices=Book.Tier)
    below_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    width = models.DecimalField(max_digits=6, decimal_places=4)  # share of the reference
    after_s = models.PositiveIntegerField(default=15)
    pause_s = models.PositiveIntegerField(default=300)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["since", "tier", "below_usd"],
                name="band_rule_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(width__gt=0, width__lt=1, pause_s__gt=0), name="band_rule_sound"
            ),
        ]

    def __str__(self) -> str:
        return f"tier {self.tier} from {self.since}"


class Order(models.Model):
    """An order of a customer, or a standing quote of the house (`customer` is null)."""

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    class Type(models.TextChoices):
        MARKET = "market"
        LIMIT = "limit"
        STOP_LOSS = "stop-loss"
        STOP_LOSS_LIMIT = "stop-loss-limit"
        TAKE_PROFIT = "take-profit"
        TAKE_PROFIT_LIMIT = "take-profit-limit"
        TRAILING_STOP = "trailing-stop"
        TRAILING_STOP_LIMIT = "trailing-stop-limit"
        ICEBERG = "iceberg"
        QUOTE = "quote"

    class Status(models.TextChoices):
        PENDING = "pending"
        OPEN = "open"
        PARTIALLY_FILLED = "partially_filled"
        FILLED = "filled"
        CANCELLED = "cancelled"
        REJECTED = "rejected"
        EXPIRED = "expired"

    class TimeInForce(models.TextChoices):
        GTC = "gtc"
        IOC = "ioc"
        FOK = "fok"
        GTD = "gtd"

    class Trigger(models.TextChoices):
        """Which price a waiting order looks at: the last trade's, or the reference."""

        LAST = "last"
        INDEX = "index"

    class Venue(models.TextChoices):
        BOOK = "book"
        HOUSE = "house"

    LIVE = (Status.PENDING, Status.OPEN, Status.PARTIALLY_FILLED)

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="orders"
    )
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="orders")
    venue = models.CharField(max_length=5, choices=Venue, default=Venue.BOOK)
    side = models.CharField(max_length=4, choices=Side)
    type = models.CharField(max_length=20, choices=Type)
    client_order_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 - null is "none given"
    quantity = models.BigIntegerField(null=True)  # base units
    # Shares a base share then: no order lives through a change of it, but for the standing quotes.
    multiplier = models.DecimalField(max_digits=30, decimal_places=18, default=1, db_default=1)
    notional = models.BigIntegerField(null=True)  # USD units
    limit_price = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    worst_price = models.DecimalField(max_digits=16, decimal_places=6, null=True)  # limit or collar
    trigger = models.CharField(max_length=5, choices=Trigger, blank=True)
    trigger_price = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    take_profit_price = models.DecimalField(max_digits=16, decimal_places=6, null=True)
    trail = models.DecimalField(max_digits=16, decimal_places=6, null=True)  # dollars
    trail_percent = models.DecimalField(max_digits=6, decimal_places=4, null=True)
    limit_offset = models.DecimalField(
        max_digits=16, decimal_places=6, null=True
    )  # dollars, signed
    display_quantity = models.BigIntegerField(null=True)  # base units
    close = models.JSONField(null=True)  # what sells each fill again; prices are decimal strings
    closes = models.OneToOneField(  # the trade whose purchase this order sells again
        "Trade", null=True, on_delete=models.PROTECT, related_name="close_order"
    )
    time_in_force = models.CharField(max_length=3, choices=TimeInForce, default=TimeInForce.GTC)
    expires_at = models.DateTimeField(null=True)
    deadline = models.DateTimeField(null=True)  # the engine refuses it later than this
    post_only = models.BooleanField(default=False)
    reduce_only = models.BooleanField(default=False)
    sells_out = models.BooleanField(default=False)  # all there was, though it is below the minimum
    self_trade_prevention = models.CharField(max_length=13, default="cancel_newest")
    maker_rate = models.DecimalField(max_digits=9, decimal_places=6)
    taker_rate = models.DecimalField(max_digits=9, decimal_places=6)
    cash_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    token_account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    hold = models.OneToOneField(Hold, null=True, on_delete=models.PROTECT, related_name="order")
    placed_at = models.DateTimeField()

    # The engine's, from here on
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    reason = models.CharField(max_length=40, blank=True)
    filled = models.BigIntegerField(default=0)  # base units
    cost = models.BigIntegerField(default=0)  # USD units
    fee = models.BigIntegerField(default=0)  # USD units, negative for a rebate
    budget = models.BigIntegerField(default=0)  # units of the hold's asset still to be used
    execution = models.BigIntegerField(default=0)  # its last number among the customer's events
    engine_state = models.JSONField(default=dict)  # the engine's OrderState, as persisted
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["customer", "client_order_id"], name="order_client_order_id_once"
            ),
            models.CheckConstraint(
                condition=Q(type="quote")
                | Q(quantity__isnull=False, notional__isnull=True)
                | Q(quantity__isnull=True, notional__isnull=False),
                name="order_quantity_xor_notional",
            ),
            models.CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(quantity__gt=0),
                name="order_quantity_positive",
            ),
            models.CheckConstraint(
                condition=Q(notional__isnull=True) | Q(notional__gt=0),
                name="order_notional_positive",
            ),
            models.CheckConstraint(
                condition=Q(type__in=LIMITED, limit_price__isnull=False)
                | Q(type="trailing-stop-limit")
                | Q(type__in=["quote", *AT_MARKET], limit_price__isnull=True),
                name="order_limit_by_type",
            ),
            models.CheckConstraint(
                condition=Q(type__in=STOPPING, trigger_price__isnull=False)
                | Q(~Q(type__in=STOPPING), trigger_price__isnull=True),
                name="order_trigger_price_by_type",
            ),
            models.CheckConstraint(
                condition=Q(type__in=TRIGGERED, trigger__in=["last", "index"])
                | Q(~Q(type__in=TRIGGERED), trigger=""),
                name="order_trigger_by_type",
            ),
            models.CheckConstraint(
                condition=Q(take_profit_price__isnull=True)
                | Q(type__in=["stop-loss", "stop-loss-limit"]),
                name="order_take_profit_beside_a_stop",
            ),
            models.CheckConstraint(
                condition=Q(type__in=TRAILING, trail__gt=0, trail_percent__isnull=True)
                | Q(type__in=TRAILING, trail__isnull=True, trail_percent__gt=0)
                | Q(~Q(type__in=TRAILING), trail__isnull=True, trail_percent__isnull=True),
                name="order_trail_by_type",
            ),
            models.CheckConstraint(
                condition=Q(type="trailing-stop-limit", limit_offset__isnull=False)
                | Q(~Q(type="trailing-stop-limit"), limit_offset__isnull=True),
                name="order_limit_offset_by_type",
            ),
            models.CheckConstraint(
                condition=Q(type="iceberg", display_quantity__gt=0)
                | Q(~Q(type="iceberg"), display_quantity__isnull=True),
                name="order_display_by_type",
            ),
            models.CheckConstraint(
                condition=Q(time_in_force="gtd", expires_at__isnull=False)
                | Q(~Q(time_in_force="gtd"), expires_at__isnull=True),
                name="order_expires_iff_gtd",
            ),
            models.CheckConstraint(
                condition=Q(close__isnull=True) | Q(side="buy"), name="order_close_of_a_buy"
            ),
            models.CheckConstraint(
                condition=Q(closes__isnull=True, reduce_only=False) | Q(side="sell"),
                name="order_reduces_by_selling",
            ),
            models.CheckConstraint(
                condition=Q(sells_out=False) | Q(side="sell"), name="order_sells_out_by_selling"
            ),
            models.CheckConstraint(
                condition=Q(filled__gte=0) & Q(cost__gte=0) & Q(budget__gte=0),
                name="order_parts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(quantity__isnull=True) | Q(filled__lte=F("quantity")),
                name="order_filled_within_quantity",
            ),
            models.CheckConstraint(
                condition=Q(
                    status__in=["pending", "open", "partially_filled"], closed_at__isnull=True
                )
                | Q(
                    status__in=["filled", "cancelled", "rejected", "expired"],
                    closed_at__isnull=False,
                ),
                name="order_closed_iff_done",
            ),
            models.UniqueConstraint(
                fields=["instrument", "side"],
                condition=Q(type="quote"),
                name="order_one_standing_quote",
            ),
            models.UniqueConstraint(
                fields=["customer", "execution"],
                condition=Q(execution__gt=0),
                name="order_execution_once",
            ),
        ]
        indexes = [
            models.Index(fields=["customer", "-id"], name="order_by_customer"),
            models.Index(
                fields=["customer"],
                condition=Q(status__in=["pending", "open", "partially_filled"]),
                name="order_live_of_customer",
            ),
            models.Index(
                fields=["instrument"],
                condition=Q(status__in=["pending", "open", "partially_filled"]),
                name="order_live",
            ),
            models.Index(
                fields=["placed_at"],
                condition=Q(customer__isnull=True) & ~Q(type="quote"),
                name="order_of_dealer",
            ),
            models.Index(  # what customers are told of, once it is over
                fields=["closed_at"],
                condition=Q(customer__isnull=False, closed_at__isnull=False, venue="book"),
                name="order_closed_of_customers",
            ),
            models.Index(fields=["placed_at"], condition=NOTEWORTHY, name="order_noteworthy"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.type} {self.uid}"

    @property
    def is_live(self) -> bool:
        """Whether it may still trade."""
        return self.status in self.LIVE

    @property
    def pays_from(self) -> int:
        """The id of the account whose units it holds."""
        return self.cash_account_id if self.side == self.Side.BUY else self.token_account_id


class Command(models.Model):
    """The engine's inbox and its log: one of these is the only way a book changes.

    The payload is complete, so the log alone replays. `sequence` and `engine_time_us` are the
    engine's; a row without them is the inbox, unless its `result` says that it was withdrawn before
    an engine took it. The engine and whoever withdraws lock the row and skip what another has
    locked, so each command has exactly one end.
    """

    WITHDRAWN = "withdrawn"

    shard = models.ForeignKey(Shard, on_delete=models.PROTECT, related_name="commands")
    kind = models.CharField(max_length=16)
    order = models.ForeignKey(Order, null=True, on_delete=models.PROTECT, related_name="commands")
    payload = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())
    stale_at = models.DateTimeField(null=True)  # the engine refuses it later than this; null: never
    sequence = models.BigIntegerField(null=True)
    engine_time_us = models.BigIntegerField(null=True)
    result = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["shard", "sequence"], name="command_sequence_once"),
            models.UniqueConstraint(
                fields=["order"], condition=Q(kind="place"), name="command_placed_once"
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(kind="cancel", sequence__isnull=True, result=""),
                name="command_cancel_waits_once",
            ),
            models.CheckConstraint(
                condition=~Q(result="withdrawn") | Q(sequence__isnull=True),
                name="command_withdrawn_without_sequence",
            ),
        ]
        indexes = [
            models.Index(
                fields=["shard", "id"],
                condition=Q(sequence__isnull=True, result=""),
                name="command_inbox",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.sequence}"


class Trade(models.Model):
    """A buyer and a seller, met at a price; settled by exactly one journal `trade:<uid>`.

    Fees are USD units, signed: a negative one is a maker's rebate.
    """

    uid = models.UUIDField(default=uuid7, unique=True, editable=False)
    instrument = models.ForeignKey(Instrument, on_delete=models.PROTECT, related_name="trades")
    venue = models.CharField(max_length=5, choices=Order.Venue, default=Order.Venue.BOOK)
    sequence = models.BigIntegerField(null=True)  # of the command that made it; none at the house
    buy_order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="buys", db_index=False
    )
    sell_order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="sells", db_index=False
    )
    maker_side = models.CharField(max_length=4, choices=Order.Side)
    price = models.DecimalField(max_digits=16, decimal_places=6)
    quantity = models.BigIntegerField()
    multiplier = models.DecimalField(max_digits=30, decimal_places=18)
    cost = models.BigIntegerField()
    buy_fee = models.BigIntegerField()
    sell_fee = models.BigIntegerField()
    executed_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)
    held_back = models.CharField(max_length=200, blank=True)  # why settlement set it aside

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gt=0) & Q(cost__gt=0) & Q(price__gt=0),
                name="trade_moves_something",
            ),
            models.CheckConstraint(
                condition=~Q(buy_order=F("sell_order")), name="trade_two_orders"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=Q(settled_at__isnull=True, held_back=""),
                name="trade_unsettled",
            ),
            models.Index(fields=["instrument", "-id"], name="trade_tape"),
            # With the id: a customer's trades are listed from the indexes alone.
            models.Index(fields=["buy_order", "id"], name="trade_of_buy_order"),
            models.Index(fields=["sell_order", "id"], name="trade_of_sell_order"),
            BrinIndex(fields=["executed_at"], name="trade_by_time"),
            models.Index(fields=["executed_at"], condition=Q(venue="house"), name="trade_of_house"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} at {self.price}"


class Release(models.Model):
    """A part of an order's budget that it will not need; consumed by one hold entry."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="releases")
    sequence = models.BigIntegerField()
    amount = models.BigIntegerField()
    consumed_by = models.OneToOneField(
        HoldEntry, null=True, on_delete=models.PROTECT, related_name="order_release"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="release_positive"),
        ]
        indexes = [
            models.Index(
                fields=["id"], condition=Q(consumed_by__isnull=True), name="release_unconsumed"
            )
        ]

    def __str__(self) -> str:
        return f"{self.amount} of order {self.order_id}"


class Participant(models.Model):
    """What the engine keeps of a customer: how many executions were announced to them."""

    customer = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="participant"
    )
    executions = models.BigIntegerField(default=0)
    cancel_all_at_us = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"participant {self.customer_id}"
