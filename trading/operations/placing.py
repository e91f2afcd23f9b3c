"""Writing what was accepted: hold, order and place command, in three statements however many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger import operations as ledger
from ledger.operations import HoldRequest
from trading import rules
from trading.models import TRIGGERED, Order
from trading.operations import inbox
from trading.operations.acceptance import Terms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Placement:
    """Accepted terms, and whose they are: accounts by id, rates as shares of the cost.

    :param closes: the trade whose purchase this order sells again
    :param max_age_s: the engine refuses the order when it is older; a close waits for ever
    """

    terms: Terms
    customer: int
    cash: int
    token: int
    shard: int
    maker_rate: Decimal
    taker_rate: Decimal
    closes: int | None = None
    max_age_s: int | None = None

    @property
    def pays_from(self) -> int:
        """The account that is held."""
        return self.cash if self.terms.draft.side == Order.Side.BUY else self.token


def write(placements: Sequence[Placement], *, now: datetime) -> list[Order]:
    """Set the worst cases aside and hand the orders to the engine; the accounts are locked.

    :returns: the orders, in the order given
    """
    if not placements:
        return []
    holds = ledger.hold_covered(
        requests=[HoldRequest(one.pays_from, one.terms.budget, "order") for one in placements]
    )
    orders = [
        _order(placement, hold, now) for placement, hold in zip(placements, holds, strict=True)
    ]
    inbox.insert_orders(orders)
    inbox.insert_commands(
        [
            inbox.NewCommand(
                shard=placement.shard,
                kind="place",
                order=order.pk,
                payload=_payload(order, placement.terms),
                max_age_s=placement.max_age_s,
            )
            for order, placement in zip(orders, placements, strict=True)
        ]
    )
    return orders


def _order(placement: Placement, hold: int, now: datetime) -> Order:
    terms, draft = placement.terms, placement.terms.draft
    deadline = draft.deadline
    if draft.type == Order.Type.MARKET and deadline is None and placement.max_age_s:
        deadline = now + timedelta(seconds=placement.max_age_s)
    return Order(
        customer_id=placement.customer,
        instrument=draft.instrument,
        side=draft.side,
        type=draft.type,
        client_order_id=draft.client_order_id,
        quantity=terms.base,
        multiplier=terms.scale.multiplier,
        notional=terms.notional,
        limit_price=draft.limit_price,
        worst_price=terms.price,
        trigger=draft.trigger if draft.type in TRIGGERED else "",
        trigger_price=draft.trigger_price,
        take_profit_price=draft.take_profit_price,
        trail=draft.trail,
        trail_percent=draft.trail_percent,
        limit_offset=draft.limit_offset,
        display_quantity=terms.special.get("display"),
        close=terms.special.get("close"),
        closes_id=placement.closes,
        time_in_force=draft.time_in_force,
        expires_at=draft.expires_at,
        deadline=deadline,
        post_only=draft.post_only,
        reduce_only=draft.reduce_only,
        sells_out=terms.below is not None,
        self_trade_prevention=draft.self_trade_prevention,
        maker_rate=placement.maker_rate,
        taker_rate=placement.taker_rate,
        cash_account_id=placement.cash,
        token_account_id=placement.token,
        hold_id=hold,
        budget=terms.budget,
        placed_at=now,
    )


def _payload(order: Order, terms: Terms) -> dict[str, Any]:
    """Say an order to the engine: integers only, and complete, so that the log replays alone."""
    return {
        "order": order.pk,
        "owner": order.customer_id,
        "instrument": order.instrument_id,
        "side": order.side,
        "type": order.type,
        "price": terms.ticks,
        "quantity": terms.base,
        "notional": terms.notional,
        "budget": terms.budget,
        "maker_ppm": rules.ppm(order.maker_rate),
        "taker_ppm": rules.ppm(order.taker_rate),
        "tif": order.time_in_force,
        "expires_at": _microseconds(order.expires_at),
        "deadline": _microseconds(terms.draft.deadline),
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "stp": order.self_trade_prevention,
        "multiplier_e18": terms.scale.multiplier_e18,
        **terms.special,
    }


def _microseconds(moment: datetime | None) -> int | None:
    """Give a time as the engine counts it."""
    return None if moment is None else (moment - EPOCH) // timedelta(microseconds=1)
