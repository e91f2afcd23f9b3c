"""What a customer may ask for, and which of it contradicts itself.

A draft is in dollars and shares, as it was typed. Whether its words fit together needs neither a
price nor the database, so every door can ask before anything is looked up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from common.errors import DomainError
from instruments.models import Instrument
from trading.models import AT_MARKET, LIMITED, STOPPING, TRAILING, TRIGGERED, Order

HOUSE = "house:"  # begins the names of the house's own orders
WIDEST_PERCENT = Decimal(100)
FINEST_PERCENT = Decimal("0.0001")  # a trail is counted in parts per million


class TermsContradict(DomainError):
    """The order's terms contradict each other."""

    status = 400


class BothQuantityAndNotional(TermsContradict):
    """Give quantity (shares) or notional (dollars), not both."""

    field = "quantity"


class NeitherQuantityNorNotional(TermsContradict):
    """Give quantity (shares) or notional (dollars)."""

    field = "quantity"


class NotPositive(TermsContradict):
    """Give more than zero."""


class LimitPriceMissing(TermsContradict):
    """An order of this type needs a limit_price."""

    field = "limit_price"


class TriggerPriceMissing(TermsContradict):
    """An order of this type needs a trigger_price."""

    field = "trigger_price"


class TrailMissing(TermsContradict):
    """A trailing order needs a trail, in dollars or in percent, like 2.50 or 1.5%."""

    field = "trail"


class LimitOffsetMissing(TermsContradict):
    """A trailing-stop-limit order needs a limit_offset: its limit, counted from where it fires."""

    field = "limit_offset"


class DisplayQuantityMissing(TermsContradict):
    """An iceberg order needs a display_quantity: how much of it shows at a time."""

    field = "display_quantity"


class QuantityMissing(TermsContradict):
    """An iceberg order is by quantity, in shares."""

    field = "quantity"


class TermNotTaken(TermsContradict):
    """An order of this type takes no such term; leave it out."""


class TrailInvalid(TermsContradict):
    """Give a trail in percent below 100, with at most four decimals."""

    field = "trail"


class ExpiryMissing(TermsContradict):
    """A good-till-date order needs expires_at."""

    field = "expires_at"


class ExpiryNotTaken(TermsContradict):
    """Only a good-till-date order (time_in_force gtd) takes expires_at."""

    field = "expires_at"


class PostOnlyNeverRests(TermsContradict):
    """Only an order that may rest on the book can be post-only."""

    field = "post_only"


class IcebergNeverRests(TermsContradict):
    """An iceberg order waits on the book: its time_in_force is gtc or gtd."""

    field = "time_in_force"


class ReduceOnlyBuy(TermsContradict):
    """A buy never reduces a position here; leave reduce_only out."""

    field = "reduce_only"


class CloseOfSell(TermsContradict):
    """A close sells what an order bought; a sell leaves nothing to close."""

    field = "close"


class CloseEmpty(TermsContradict):
    """A close needs a stop_loss, a take_profit, or both."""

    field = "close"


class TriggersCross(TermsContradict):
    """A sell stops its loss below the price at which it takes its profit, a buy above it."""


class NameReserved(TermsContradict):
    """Names that begin with house: are the house's; take another client_order_id."""

    field = "client_order_id"


@dataclass(frozen=True, slots=True)
class Close:
    """What sells each fill again: below `stop_loss`, above `take_profit`, whichever comes first.

    :param limit_price: the least it sells for once triggered; without one it sells at market
    """

    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    trigger: str = Order.Trigger.LAST
    limit_price: Decimal | None = None

    def prices(self) -> list[tuple[str, Decimal]]:
        """List the prices it names, by field."""
        named = {
            "stop_loss": self.stop_loss,
            "take_profit": self.take_profit,
            "limit_price": self.limit_price,
        }
        return [(field, price) for field, price in named.items() if price is not None]

    def as_said(self) -> dict[str, str]:
        """Say it as the API does, and as the order keeps it."""
        return {field: f"{price:f}" for field, price in self.prices()} | {
            "trigger": str(self.trigger)
        }

    @classmethod
    def of(cls, said: dict[str, str]) -> "Close":
        """Read what an order keeps."""
        prices = {name: Decimal(price) for name, price in said.items() if name != "trigger"}
        return cls(**prices, trigger=said.get("trigger", Order.Trigger.LAST))


@dataclass(frozen=True, slots=True)
class OrderDraft:
    """What a customer asks for: shares or dollars, prices in dollars for one share.

    :param take_profit_price: a second trigger of a stop-loss; the first to come ends the other
    :param trail: dollars from the best price seen, or `trail_percent` of it
    :param limit_offset: dollars, signed, from where a trailing-stop-limit fires to its limit
    :param deadline: until when the engine must have seen it
    """

    instrument: Instrument
    side: str
    type: str
    quantity: Decimal | None = None
    notional: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None
    take_profit_price: Decimal | None = None
    trigger: str = Order.Trigger.LAST
    trail: Decimal | None = None
    trail_percent: Decimal | None = None
    limit_offset: Decimal | None = None
    display_quantity: Decimal | None = None
    close: Close | None = None
    time_in_force: str = Order.TimeInForce.GTC
    expires_at: datetime | None = None
    deadline: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    self_trade_prevention: str = "cancel_newest"
    client_order_id: str | None = None


def contradictions(draft: OrderDraft) -> Iterator[TermsContradict]:
    """Find what in a draft contradicts itself, each naming its field."""
    yield from _amounts(draft)
    yield from _missing(draft)
    yield from _not_taken(draft)
    yield from _flags(draft)
    yield from _close(draft.side, draft.close)


def _amounts(draft: OrderDraft) -> Iterator[TermsContradict]:
    if draft.quantity is not None and draft.notional is not None:
        yield BothQuantityAndNotional()
    elif draft.quantity is None and draft.notional is None:
        yield NeitherQuantityNorNotional()
    elif draft.quantity is None and draft.type == Order.Type.ICEBERG:
        yield QuantityMissing()
    for field in (
        "quantity",
        "notional",
        "limit_price",
        "trigger_price",
        "take_profit_price",
        "trail",
        "display_quantity",
    ):
        value = getattr(draft, field)
        if value is not None and value <= 0:
            yield NotPositive(field=field)
    percent = draft.trail_percent
    if percent is not None and not (0 < percent < WIDEST_PERCENT and percent % FINEST_PERCENT == 0):
        yield TrailInvalid()


def _missing(draft: OrderDraft) -> Iterator[TermsContradict]:
    kind = draft.type
    if kind in LIMITED and draft.limit_price is None:
        yield LimitPriceMissing(f"A {kind} order needs a limit_price.")
    if kind in STOPPING and draft.trigger_price is None:
        yield TriggerPriceMissing(f"A {kind} order needs a trigger_price.")
    if kind in TRAILING and (draft.trail is None) == (draft.trail_percent is None):
        yield TrailMissing()
    if kind == Order.Type.TRAILING_STOP_LIMIT and draft.limit_offset is None:
        yield LimitOffsetMissing()
    if kind == Order.Type.ICEBERG and draft.display_quantity is None:
        yield DisplayQuantityMissing()
    if draft.time_in_force == Order.TimeInForce.GTD and draft.expires_at is None:
        yield ExpiryMissing()


def _not_taken(draft: OrderDraft) -> Iterator[TermsContradict]:
    kind = draft.type
    taken = {
        "limit_price": kind in LIMITED,
        "trigger_price": kind in STOPPING,
        "take_profit_price": kind in {Order.Type.STOP_LOSS, Order.Type.STOP_LOSS_LIMIT},
        "trail": kind in TRAILING,
        "limit_offset": kind == Order.Type.TRAILING_STOP_LIMIT,
        "display_quantity": kind == Order.Type.ICEBERG,
    }
    for field, is_taken in taken.items():
        if getattr(draft, field) is not None and not is_taken:
            yield TermNotTaken(f"A {kind} order takes no {field}; leave it out.", field=field)
    if draft.trail_percent is not None and not taken["trail"]:
        yield TermNotTaken(f"A {kind} order takes no trail; leave it out.", field="trail")
    if draft.trigger != Order.Trigger.LAST and kind not in TRIGGERED:
        yield TermNotTaken(f"A {kind} order takes no trigger; leave it out.", field="trigger")
    if draft.expires_at is not None and draft.time_in_force != Order.TimeInForce.GTD:
        yield ExpiryNotTaken()


def _flags(draft: OrderDraft) -> Iterator[TermsContradict]:
    at_once = draft.time_in_force in {Order.TimeInForce.IOC, Order.TimeInForce.FOK}
    if draft.post_only and (at_once or draft.type in AT_MARKET):
        yield PostOnlyNeverRests()
    if draft.type == Order.Type.ICEBERG and at_once:
        yield IcebergNeverRests()
    if draft.reduce_only and draft.side == Order.Side.BUY:
        yield ReduceOnlyBuy()
    if (draft.client_order_id or "").startswith(HOUSE):
        yield NameReserved()
    stop, profit = draft.trigger_price, draft.take_profit_price
    if stop is not None and profit is not None:
        lower, upper = (stop, profit) if draft.side == Order.Side.SELL else (profit, stop)
        if lower >= upper:
            yield TriggersCross(field="take_profit_price")


def _close(side: str, close: Close | None) -> Iterator[TermsContradict]:
    if close is None:
        return
    stop, profit = close.stop_loss, close.take_profit
    if side == Order.Side.SELL:
        yield CloseOfSell()
    if stop is None and profit is None:
        yield CloseEmpty()
    for field, price in close.prices():
        if price <= 0:
            yield NotPositive(field=f"close.{field}")
    if stop is not None and profit is not None and stop >= profit:
        yield TriggersCross(field="close.take_profit")
