"""Orders in words, and how pages write dollars, shares and percent."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from common import times
from common.money import USD, Amount, Receipt, count
from instruments.models import Instrument
from trading import queries
from trading.models import LIMITED, TRAILING, TRIGGERED, Order

CENT = Decimal("0.01")

WATCHED: dict[str, str] = {
    Order.Trigger.LAST: "The last trade",
    Order.Trigger.INDEX: "The reference price",
}
FORCES: dict[str, str] = {
    Order.TimeInForce.IOC: "Now, the rest cancelled",
    Order.TimeInForce.FOK: "All of it now, or nothing",
}
REASONS = {
    "customer": "you cancelled it",
    "aged_out": "it waited too long for the market; nothing was bought or sold",
    "cancel_all_after": "your dead-man switch was not renewed in time",
    "post_only_would_take": "it would have traded at once, and was to wait",
    "no_liquidity": "nobody was there to trade with",
    "fok_unfilled": "all of it at once was not to be had",
    "collar": "the price moved too far",
    "self_trade": "it would have met an order of your own",
    "expired": "its time was over",
    "deadline": "it came too late",
    "dust": "what was left is worth less than the smallest unit",
    "budget": "what was set aside did not cover it",
    "instrument_paused": "trading was paused",
    "instrument_closed": "the market was closed",
    "instrument_cancel_only": "trading was halted",
    "instrument_post_only": "only orders that wait were taken",
    "instrument_limit_only": "only orders with a limit were taken",
    "instrument_reduce_only": "only sales were taken",
    "instrument_maintenance": "the market was under maintenance",
    "instrument_delisted": "it is traded here no more",
    "delisted": "it is traded here no more",
    "multiplier_changed": "the shares had just changed",
    "corporate_action": "the shares were about to change",
}


def usd(value: Decimal) -> str:
    """Write dollars and cents; less than a cent with what there is."""
    if value and abs(value) < CENT:
        return f"${abs(value).quantize(Decimal('0.000001')).normalize():f}"
    return f"${abs(value).quantize(CENT, ROUND_HALF_EVEN):,f}"


def tidy(value: Decimal) -> str:
    """Write an amount the way it was typed: $25, $25.50."""
    return usd(value).removesuffix(".00")


def percent(value: Decimal) -> str:
    """Write percent with the decimals it needs: 1.5%, 0.10% is 0.1%."""
    return f"{value.normalize():f}%"


def idle_action(instrument: Instrument, side: str) -> str:
    """Name the button while there is no amount yet."""
    return f"{'Sell' if side == Order.Side.SELL else 'Buy'} {instrument.name}"


@dataclass(frozen=True, slots=True)
class Line:
    """An order, ready to be read."""

    order: Order
    title: str
    terms: str
    filled: Decimal
    average: Decimal | None
    receipt: Receipt
    reason: str

    @property
    def part(self) -> bool:
        """Whether some of it, but not all, was traded."""
        return bool(self.order.filled) and self.order.status != Order.Status.FILLED

    @property
    def waiting(self) -> bool:
        """Whether its trigger has not been reached."""
        order = self.order
        return order.is_live and order.type in TRIGGERED and not order.engine_state.get("triggered")

    @property
    def changeable(self) -> bool:
        """Whether it has a price or a quantity that can still be changed."""
        order = self.order
        return order.is_live and bool(order.type in LIMITED or (self.waiting and order.quantity))

    @property
    def more(self) -> list[tuple[str, str]]:
        """What else was agreed: (label, words), of what is not the usual."""
        order = self.order
        told = []
        if order.trigger:
            told.append(("Looks at", WATCHED[order.trigger]))
        if order.display_quantity:
            shown = queries.scale_then(order).shares(order.display_quantity)
            told.append(("Shown at a time", f"{count(shown)} {order.instrument.symbol}"))
        if order.time_in_force != Order.TimeInForce.GTC:
            until = times.moment(order.expires_at) if order.expires_at else ""
            told.append(("Stands", until or FORCES[order.time_in_force]))
        if order.post_only:
            told.append(("Post-only", "Never trades at once"))
        if order.reduce_only:
            told.append(("Reduce-only", "Sells no more than is held"))
        if order.close:
            prices = [order.close.get(name) for name in ("stop_loss", "take_profit")]
            at = " or ".join(usd(Decimal(price)) for price in prices if price)
            told.append(("Sold again at", at))
        return told


def line(order: Order) -> Line:
    """Put an order into words."""
    scale = queries.scale_then(order)
    buying = order.side == Order.Side.BUY
    return Line(
        order=order,
        title=f"{'Buy' if buying else 'Sell'} {order.instrument.name}",
        terms=terms(order),
        filled=scale.shares(order.filled),
        average=queries.average_price(order, scale) if order.filled else None,
        receipt=Receipt.of(cost=order.cost, fee=order.fee, buying=buying),
        reason=REASONS.get(order.reason, order.reason.replace("_", " ")),
    )


def terms(order: Order) -> str:
    """Say what was asked for: "$25 at the market", "0.5 AAPLx at $270.00 or better"."""
    if order.notional is not None:
        asked = tidy(Amount(order.notional, USD).decimal)
    else:
        shares = queries.scale_then(order).shares(order.quantity or 0)
        asked = f"{count(shares)} {order.instrument.symbol}"
    if order.venue == Order.Venue.HOUSE:
        return f"{asked} with the house"
    if order.type in TRIGGERED:
        return f"{asked} {_trigger_terms(order)}"
    if order.limit_price is None:
        return f"{asked} at the market"
    return f"{asked} at {usd(order.limit_price)} or better"


def _trigger_terms(order: Order) -> str:
    """Say what a triggered order waits for: "once at $250.00", "trailing 2%"."""
    if order.type in TRAILING:
        trail = usd(order.trail) if order.trail else percent(order.trail_percent or Decimal(0))
        said = f"trailing {trail}"
    else:
        said = f"once at {usd(order.trigger_price or Decimal(0))}"
        if order.take_profit_price:
            said += f" or {usd(order.take_profit_price)}"
    return f"{said}, then at {usd(order.limit_price)} or better" if order.limit_price else said
