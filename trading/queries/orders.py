"""Questions about orders and trades, and how the API says them."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Prefetch, QuerySet

from common import database
from common.money import USD, Amount
from trading import rules
from trading.models import TRIGGERED, Order, Participant, Trade
from trading.queries.pricing import scale_of, scale_then
from users.models import User

SIDE = ("uid", "customer_id")  # what a trade says of the order that made it


def orders_of(user: User) -> QuerySet[Order]:
    """List a customer's orders, newest first."""
    return Order.objects.filter(customer=user).select_related("instrument").order_by("-id")


def simulated_among(order_ids: Iterable[int]) -> set[int]:
    """Give which of some orders are those of simulated customers."""
    orders = Order.objects.filter(pk__in=order_ids, customer__simulated=True)
    return set(orders.values_list("pk", flat=True))


def open_orders_of(user: User) -> QuerySet[Order]:
    """List a customer's orders that may still trade, newest first."""
    return orders_of(user).filter(status__in=Order.LIVE)


def places_taken(user: User, names: Iterable[str]) -> tuple[int, dict[str, str]]:
    """Count a customer's orders that may still trade; give the id of the order of each name."""
    [(live, taken)] = database.prepared(
        """
            SELECT (SELECT count(*) FROM trading_order WHERE customer_id = %(customer)s
                        AND status IN ('pending', 'open', 'partially_filled')),
                   (SELECT coalesce(json_object_agg(client_order_id, uid), '{}')
                    FROM trading_order WHERE customer_id = %(customer)s
                                         AND client_order_id = ANY (%(names)s::text[]))
            """,
        {"customer": user.pk, "names": list(names)},
    )
    return live, taken


def waiting_commands(customer_id: int, most: int) -> int:
    """Count a customer's commands that no engine has sequenced, up to so many."""
    [(count,)] = database.prepared(
        """
            SELECT count(*) FROM (
                SELECT FROM trading_command c LEFT JOIN trading_order o ON o.id = c.order_id
                WHERE c.sequence IS NULL AND c.result = ''
                  AND (o.customer_id = %(customer)s OR c.kind = 'cancel_all_after'
                       AND (c.payload->>'owner')::bigint = %(customer)s)
                LIMIT %(most)s) waiting
            """,
        {"customer": customer_id, "most": most},
    )
    return int(count)


def closed_orders_of(user: User) -> QuerySet[Order]:
    """List a customer's orders that are done, newest first."""
    return orders_of(user).exclude(status__in=Order.LIVE)


def changed_since(user: User, sequence: int) -> QuerySet[Order]:
    """List a customer's orders that had an execution after the one of that number, newest first.

    Whoever missed executions catches up with these: each order as it is now, and its last number.
    """
    return orders_of(user).filter(execution__gt=sequence)


def executions_of(user: User) -> int:
    """Give the number of the last execution a customer was told of."""
    number = Participant.objects.filter(customer=user).values_list("executions", flat=True)
    return number.first() or 0


def trades_of(user: User) -> QuerySet[Trade]:
    """List the trades a customer took part in, newest first.

    They are found from the customer's orders: an OR over both sides would read all there are. The
    orders of what is shown are read apart: joined, those of all would be.
    """
    own = Order.objects.filter(customer=user).values("id")
    bought, sold = (
        Trade.objects.filter(**{f"{side}_order__in": own}).values("id") for side in ("buy", "sell")
    )
    return (
        Trade.objects.filter(pk__in=bought.union(sold, all=True))
        .select_related("instrument")
        .prefetch_related(
            *(Prefetch(f"{side}_order", Order.objects.only(*SIDE)) for side in ("buy", "sell"))
        )
        .order_by("-id")
    )


def describe_order(order: Order) -> dict[str, Any]:
    """Say an order as the API does: decimal strings, ids, no nulls that mean nothing."""
    scale = scale_then(order)
    facts = {
        "id": str(order.uid),
        "client_order_id": order.client_order_id,
        "instrument": order.instrument.symbol,
        "side": order.side,
        "type": order.type,
        "status": order.status,
        "filled_quantity": _text(order.filled, scale),
        "fee": str(Amount(order.fee, USD)),
        "time_in_force": order.time_in_force,
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "self_trade_prevention": order.self_trade_prevention,
        "placed_at": order.placed_at.isoformat(),
    }
    optional = {
        "reason": order.reason or None,
        "quantity": _text(order.quantity, scale),
        "notional": None if order.notional is None else str(Amount(order.notional, USD)),
        "average_price": f"{average_price(order, scale):f}" if order.filled else None,
        "limit_price": _dollars(order.limit_price, scale),
        **_waiting(order, scale),
        "close": order.close,
        "expires_at": _time(order.expires_at),
        "deadline": _time(order.deadline),
        "closed_at": _time(order.closed_at),
        "sequence": order.execution or None,
    }
    return facts | {name: fact for name, fact in optional.items() if fact is not None}


def _waiting(order: Order, scale: rules.Scale) -> dict[str, Any]:
    """Say what an order waits for, and how much of it shows."""
    triggered = order.type in TRIGGERED
    trail = _dollars(order.trail, scale)
    if order.trail_percent is not None:
        trail = f"{order.trail_percent.normalize():f}%"
    return {
        "trigger": order.trigger or None,
        "trigger_price": _dollars(order.trigger_price, scale),
        "take_profit_price": _dollars(order.take_profit_price, scale),
        "trail": trail,
        "limit_offset": _dollars(order.limit_offset, scale),
        "triggered": order.engine_state.get("triggered", False) if triggered else None,
        "display_quantity": _text(order.display_quantity, scale),
    }


def average_price(order: Order, scale: rules.Scale) -> Decimal:
    """Give what a whole share cost on average, in dollars to six decimals."""
    shares = Decimal(order.filled).scaleb(-rules.SHARE_SCALE) * scale.multiplier
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


def _dollars(price: Decimal | None, scale: rules.Scale) -> str | None:
    return None if price is None else f"{price.quantize(scale.tick):f}"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _text(base: int | None, scale: rules.Scale) -> str | None:
    return None if base is None else f"{scale.shares(base):f}"
