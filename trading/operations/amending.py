"""Changing an open order in place: its quantity, its limit, the trigger it still waits for.

A smaller quantity keeps the order's place in the queue. What a larger need could cost more is set
aside at once; whatever turns out not to be needed, the engine gives back. An order that no engine
has sequenced is changed at once: its place command says the new terms.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from common.errors import DomainError
from common.money import MAX_UNITS
from ledger import operations as ledger
from trading import queries, rules
from trading.engine.commands import MOST_TIPS
from trading.models import LIMITED, STOPPING, Command, Order
from trading.operations import counter
from trading.operations.acceptance import (
    DisplayOutOfBounds,
    check_heard,
    check_minimum,
    check_triggers,
)
from trading.operations.drafts import NotPositive, OrderDraft, TermNotTaken, TermsContradict
from trading.operations.sending import OrderAlreadyDone, send
from trading.operations.withdrawing import claim_place


class NothingToAmend(TermsContradict):
    """Give another quantity, another price, or both."""

    field = "quantity"


class FilledAlready(TermsContradict):
    """That much is filled already; choose a larger quantity, or cancel the order."""

    field = "quantity"


class FiredAlready(DomainError):
    """The order has fired; its trigger can no longer be changed."""

    status = 409
    field = "trigger_price"


@dataclass(frozen=True, slots=True)
class Change:
    """What of an order should be otherwise: shares in all, dollars for one share."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    trigger_price: Decimal | None = None


@transaction.atomic
def amend_order(
    *,
    order: Order,
    quantity: Decimal | None = None,
    limit_price: Decimal | None = None,
    trigger_price: Decimal | None = None,
    now: datetime,
) -> Order:
    """Change an order in place: at once if no engine has sequenced it, else the engine is asked.

    :param quantity: the whole new quantity in shares, what is filled already included
    :param trigger_price: for an order that has not fired
    :raises OrderAlreadyDone: if it is filled, cancelled or expired
    :raises FiredAlready: if a trigger should change that has been reached
    :raises InsufficientFunds: if a larger need is not covered
    :raises MarketSilent: if the engine does not answer
    :raises DomainError: naming the field, if an order of this type takes no such change
    """
    if not order.is_live:
        raise OrderAlreadyDone
    counter.amending(order=order, now=now)
    change = Change(quantity, limit_price, trigger_price)
    place = claim_place(order)
    if not order.is_live:  # withdrawn meanwhile: nothing more may be set aside for it
        raise OrderAlreadyDone
    _check(order, change)
    scale = queries.scale_then(order)
    base = _base(order, quantity, scale)
    prices = queries.prices_of([order.instrument], now=now)
    ticks = scale.ticks(_price(order, change, prices), field="limit_price")
    terms: dict[str, Any] = {"price": ticks}
    if trigger_price is not None:
        terms["trigger_price"] = scale.ticks(trigger_price, field="trigger_price")
    if base is not None:
        terms["quantity"] = base
    need = _need(order, base, ticks, prices)
    if max(order.budget, need) > MAX_UNITS:
        raise rules.TooLarge(field="quantity")
    if place is not None:
        return _rewrite(order, place, terms, need)
    book = queries.books_of([order.instrument_id])[order.instrument_id]
    check_heard(book, queries.silence([book.shard_id]), at_market=False)
    increase = max(0, need - order.budget)
    if increase and order.hold_id:
        ledger.increase(increases=[(order.hold_id, increase)])
    payload = {"order": order.pk, **terms, "budget_increase": increase}
    oldest = queries.market_rule(now).max_age_s(at_market=False)
    send([order], "amend", payload, max_age_s=oldest)
    return order


def _base(order: Order, quantity: Decimal | None, scale: rules.Scale) -> int | None:
    """Count the new quantity; one that is shown as it was stays as it was, to the base unit."""
    if quantity is None or (order.quantity and quantity == scale.shares(order.quantity)):
        return order.quantity
    return scale.base(quantity, selling=order.side == Order.Side.SELL)


def _rewrite(order: Order, place: int, terms: dict[str, Any], need: int) -> Order:
    """Say the new terms in the order's place command, which is locked, and hold what they need.

    :param terms: as the engine's amend command names them
    :param need: units of the hold; 0 leaves the budget as it is
    """
    tick, display = order.instrument.tick_size, order.display_quantity
    price = tick * terms["price"]
    changes: dict[str, Any] = {"worst_price": price, "budget": need or order.budget}
    if order.type in LIMITED:
        changes["limit_price"] = price
    if "quantity" in terms:
        changes["quantity"] = terms["quantity"]
    if "trigger_price" in terms:
        changes["trigger_price"] = tick * terms["trigger_price"]
    if display is not None and terms["quantity"] < display:
        terms = {**terms, "display": terms["quantity"]}
        changes["display_quantity"] = terms["quantity"]
    more, hold = changes["budget"] - order.budget, order.hold_id or 0
    if more > 0:
        ledger.increase(increases=[(hold, more)])
    elif more < 0:
        ledger.release(releases=[(hold, -more)])
    Order.objects.filter(pk=order.pk).update(**changes)
    command = Command.objects.get(pk=place)
    amended = command.payload.get("amended", 0) + 1  # for whoever reads the log
    command.payload |= {**terms, "budget": changes["budget"], "amended": amended}
    command.save(update_fields=["payload"])
    order.refresh_from_db()
    return order


def _check(order: Order, change: Change) -> None:
    """Refuse a change that an order of this type, at this point, does not take."""
    if change == Change():
        raise NothingToAmend
    kind = order.type
    taken = {
        "quantity": order.quantity is not None and kind != Order.Type.MARKET,
        "limit_price": kind in LIMITED,
        "trigger_price": kind in STOPPING,
    }
    for field, is_taken in taken.items():
        value = getattr(change, field)
        if value is not None and not is_taken:
            measure = "by dollars" if field == "quantity" and order.notional else "of this type"
            raise TermNotTaken(
                f"An order {measure} has no {field} to change; cancel it and place another.",
                field=field,
            )
        if value is not None and value <= 0:
            raise NotPositive(field=field)
    if change.trigger_price is not None and order.engine_state.get("triggered"):
        raise FiredAlready


def _price(order: Order, change: Change, prices: queries.Prices) -> Decimal:
    """Give the worst price of the changed order: its limit, or the collar around a new trigger.

    :raises TriggersAtOnce: if the price is past the new trigger already
    """
    limit = change.limit_price if change.limit_price is not None else order.limit_price
    if change.trigger_price is not None:
        draft = OrderDraft(
            instrument=order.instrument,
            side=order.side,
            type=order.type,
            limit_price=limit,
            trigger_price=change.trigger_price,
            trigger=order.trigger,
            take_profit_price=order.take_profit_price,
        )
        check_triggers(draft, prices)
        return queries.worst_price(draft, prices)
    price = limit if limit is not None else order.worst_price
    assert price is not None  # every order on a book has one
    return price


def _need(order: Order, base: int | None, ticks: int, prices: queries.Prices) -> int:
    """Give what the rest of the changed order needs of its hold; the engine holds it to the same.

    :raises FilledAlready: if nothing would be left
    :raises BelowMinimum: if less could be paid for what is left than the market's minimum
    """
    instrument = order.instrument
    if base is None:
        left = (order.notional or 0) - order.cost
        check_minimum(
            instrument, prices, ticks=ticks, base=None, notional=left, field="limit_price"
        )
        return 0  # it stays within its dollars, whatever the price
    if base <= order.filled:
        raise FilledAlready
    if order.display_quantity and base > order.display_quantity * MOST_TIPS:
        raise DisplayOutOfBounds(field="quantity")
    rest = base - order.filled
    if not (order.sells_out and base == order.quantity):
        check_minimum(instrument, prices, ticks=ticks, base=rest, notional=None, field="quantity")
    if order.side == Order.Side.SELL:
        return rest
    return queries.scale_of(instrument).hold_for(ticks, rest, rules.ppm(order.taker_rate))
