"""Questions about orders, trades and what an order would cost."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Q, QuerySet

from common.errors import DomainError
from common.money import USD, Amount
from instruments.models import Instrument
from market import queries as market
from market.rules import sessions
from trading import rules
from trading.models import MarketRule, Order, Participant, Trade
from trading.queries.fees import fee_tier
from users.models import User


class PriceStale(DomainError):
    """There is no fresh price for this just now; a limit order still works."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The house's standing quote on one side: (price, base units), best first."""

    order_id: int
    levels: list[tuple[Decimal, int]]


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would do now: shares and dollars, estimates but for `worst_price` and rates.

    The fee is a taker's, or a maker's where the order only ever rests; negative is a rebate.
    """

    estimated_price: Decimal
    estimated_quantity: Decimal
    estimated_cost: Decimal
    fee: Decimal
    maker_rate: Decimal
    taker_rate: Decimal
    worst_price: Decimal


def orders_of(user: User) -> QuerySet[Order]:
    """List a customer's orders, newest first."""
    return Order.objects.filter(customer=user).select_related("instrument").order_by("-id")


def open_orders_of(user: User) -> QuerySet[Order]:
    """List a customer's orders that may still trade, newest first."""
    return orders_of(user).filter(status__in=Order.LIVE)


def closed_orders_of(user: User) -> QuerySet[Order]:
    """List a customer's orders that are done, newest first."""
    return orders_of(user).exclude(status__in=Order.LIVE)


def executions_of(user: User) -> int:
    """Give the number of the last execution a customer was told of."""
    number = Participant.objects.filter(customer=user).values_list("executions", flat=True)
    return number.first() or 0


def trades_of(user: User) -> QuerySet[Trade]:
    """List the trades a customer took part in, newest first."""
    return (
        Trade.objects.filter(Q(buy_order__customer=user) | Q(sell_order__customer=user))
        .select_related("instrument", "buy_order", "sell_order")
        .order_by("-id")
    )


def scale_of(instrument: Instrument) -> rules.Scale:
    """Say how an instrument counts."""
    return rules.Scale.of(instrument.tick_size, instrument.multiplier)


def market_rule(now: datetime) -> MarketRule:
    """Give the market's bounds in force."""
    return MarketRule.objects.filter(since__lte=now.date()).latest("since")


def fresh_reference(instrument: Instrument, *, now: datetime) -> Decimal:
    """Give the reference price.

    :raises PriceStale: if the feed has given none for longer than the market's rule allows
    """
    reference = market.reference_price(instrument)
    oldest = market_rule(now).reference_max_age_s
    if reference is None or (now - reference.at).total_seconds() > oldest:
        raise PriceStale
    return reference.price


def collar_width(now: datetime) -> Decimal:
    """Give how far from the reference a market order may go, as a share of it."""
    rule = market_rule(now)
    return rule.collar_open if sessions.primary_is_open(now) else rule.collar_closed


def collar(instrument: Instrument, side: str, *, now: datetime) -> Decimal:
    """Give the worst price a market order may get.

    :raises PriceStale: if there is no fresh reference price
    """
    return rules.collar(
        fresh_reference(instrument, now=now),
        side=side,
        width=collar_width(now),
        tick=scale_of(instrument).tick,
    )


def standing_quote(instrument: Instrument, side: str, *, now: datetime) -> Quote | None:
    """Give the house's quote on a side, or None where it must not be relied upon.

    It is relied upon while the reference price is fresh and only as far as the collar around it.

    :param side: what the house does: `buy` is what a seller meets
    """
    order = Order.objects.filter(instrument=instrument, side=side, type=Order.Type.QUOTE).first()
    if order is None:
        return None
    try:
        worst = collar(instrument, "sell" if side == "buy" else "buy", now=now)
    except PriceStale:
        return None
    scale = scale_of(instrument)
    levels = [
        (scale.price(ticks), base) for ticks, base, *_ in order.engine_state.get("levels") or []
    ]
    inside = [(p, base) for p, base in levels if (p >= worst if side == "buy" else p <= worst)]
    return Quote(order.pk, inside) if inside else None


def preview(*, draft: Any, customer: User, now: datetime) -> Preview:
    """Say what an order would do just now, walking the house's quote up to its worst price.

    Where it would not trade at once (a resting limit order), the estimate is at its limit.

    :param draft: a `trading.operations.OrderDraft`
    :raises PriceStale: for a market order without a fresh reference price
    """
    instrument: Instrument = draft.instrument
    scale = scale_of(instrument)
    worst = draft.limit_price or collar(instrument, draft.side, now=now)
    quote = standing_quote(instrument, "sell" if draft.side == "buy" else "buy", now=now)
    reach = [
        (price, base)
        for price, base in (quote.levels if quote else [])
        if (price <= worst if draft.side == "buy" else price >= worst)
    ]
    price = reach[0][0] if reach else worst
    ticks = int(price / scale.tick)
    if draft.quantity is not None:
        base = scale.base(draft.quantity)
        cost = _walk(scale, reach, base) or scale.cost(ticks, base)
    else:
        cost = Amount.parse(draft.notional, USD, field="notional").units
        base = scale.base_for(cost, ticks)
    tier = fee_tier(customer, now)
    rate = tier.maker_rate if draft.post_only else tier.taker_rate
    shares = scale.shares(base)
    dollars = Amount(cost, USD).decimal
    return Preview(
        estimated_price=(dollars / shares).quantize(scale.tick) if shares else price,
        estimated_quantity=shares,
        estimated_cost=dollars,
        fee=Amount(rules.fee(cost, rate), USD).decimal,
        maker_rate=tier.maker_rate,
        taker_rate=tier.taker_rate,
        worst_price=worst,
    )


def _walk(scale: rules.Scale, levels: list[tuple[Decimal, int]], base: int) -> int:
    """Give the cost of so much through the levels, or 0 where they do not reach."""
    cost = 0
    for price, size in levels:
        taken = min(size, base)
        cost += scale.cost(int(price / scale.tick), taken)
        base -= taken
        if not base:
            return cost
    return 0


def describe_order(order: Order) -> dict[str, Any]:
    """Say an order as the API does: decimal strings, ids, no nulls that mean nothing."""
    scale = scale_of(order.instrument)
    facts = {
        "id": str(order.uid),
        "client_order_id": order.client_order_id,
        "instrument": order.instrument.symbol,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "reason": order.reason or None,
        "quantity": _text(order.quantity, scale),
        "notional": None if order.notional is None else str(Amount(order.notional, USD)),
        "filled_quantity": _text(order.filled, scale),
        "average_price": None if not order.filled else f"{average_price(order, scale):f}",
        "limit_price": None if order.limit_price is None else _dollars(order.limit_price, scale),
        "fee": str(Amount(order.fee, USD)),
        "time_in_force": order.time_in_force,
        "post_only": order.post_only,
        "placed_at": order.placed_at.isoformat(),
        "closed_at": order.closed_at.isoformat() if order.closed_at else None,
    }
    optional = ("reason", "quantity", "notional", "average_price", "limit_price", "closed_at")
    return {name: fact for name, fact in facts.items() if name not in optional or fact is not None}


def average_price(order: Order, scale: rules.Scale) -> Decimal:
    """Give what a whole share cost on average, in dollars to six decimals."""
    shares = Decimal(order.filled).scaleb(-rules.SHARE_SCALE) * order.instrument.multiplier
    return (Amount(order.cost, USD).decimal / shares).quantize(Decimal("0.000001"))


def describe_trade(trade: Trade, user: User) -> dict[str, Any]:
    """Say a trade as the API does, from one side of it."""
    buying = trade.buy_order.customer_id == user.pk
    order = trade.buy_order if buying else trade.sell_order
    side = Order.Side.BUY if buying else Order.Side.SELL
    facts = {
        "id": str(trade.uid),
        "order_id": str(order.uid),
        "instrument": trade.instrument.symbol,
        "side": str(side),
        "price": _dollars(trade.price, scale_of(trade.instrument)),
        "quantity": _text(
            trade.quantity, rules.Scale.of(trade.instrument.tick_size, trade.multiplier)
        ),
        "cost": str(Amount(trade.cost, USD)),
        "fee": str(Amount(trade.buy_fee if buying else trade.sell_fee, USD)),
        "liquidity": "maker" if trade.maker_side == side else "taker",
        "venue": trade.venue,
        "executed_at": trade.executed_at.isoformat(),
    }
    if trade.settled_at:
        facts["settled_at"] = trade.settled_at.isoformat()
    return facts


def _dollars(price: Decimal, scale: rules.Scale) -> str:
    return f"{price.quantize(scale.tick):f}"


def _text(base: int | None, scale: rules.Scale) -> str | None:
    return None if base is None else f"{scale.shares(base):f}"
