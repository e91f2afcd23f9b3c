"""A customer's orders: place, amend, cancel.

Placing checks and prices each draft, locks the customer's accounts, sets the worst case aside and
writes order, hold and command in one transaction. From then on the engine decides.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from common import realtime
from common.errors import DomainError
from instruments.models import Instrument
from ledger import operations as ledger
from ledger import queries as books
from ledger.operations import AccountKey
from trading import queries, rules
from trading.models import Book, Command, Order, Shard
from trading.operations import placing
from trading.operations.acceptance import (
    Conditions,
    Terms,
    admit,
    conditions_for,
    refusal_or,
    terms_of,
)
from trading.operations.drafts import OrderDraft, TermsContradict
from trading.operations.placing import Placement
from users.models import User

LONGEST_TIMEOUT_S = 86_400


class OrderAlreadyDone(DomainError):
    """The order is filled, cancelled or expired already."""

    status = 409


def place_order(*, draft: OrderDraft, customer: User, now: datetime) -> Order:
    """Accept one order and hand it to the engine; it comes back `PENDING`.

    :raises VerificationRequired: if the customer may not trade
    :raises InsufficientFunds: if the worst case is not available
    :raises DomainError: naming the field, if the terms are wrong
    """
    [result] = place_orders(drafts=[draft], customer=customer, now=now)
    if isinstance(result, DomainError):
        raise result
    return result


@transaction.atomic
def place_orders(
    *, drafts: Sequence[OrderDraft], customer: User, now: datetime
) -> list[Order | DomainError]:
    """Accept orders, each for itself: what is wrong with one does not touch the others.

    :returns: an order or its refusal for each draft, in order
    """
    conditions = conditions_for(drafts, customer, now)
    results: list[Terms | Order | DomainError] = [
        refusal_or(lambda draft=draft: terms_of(draft, conditions)) for draft in drafts
    ]
    accounts = _open_accounts(customer, [r.draft for r in results if isinstance(r, Terms)])
    balances = ledger.lock_accounts(account_ids=accounts.values())
    results = admit(results, customer, accounts, balances, conditions)
    accepted = [result for result in results if isinstance(result, Terms)]
    placements = [_placement(terms, customer, accounts, conditions) for terms in accepted]
    orders = iter(placing.write(placements, now=now))
    return [next(orders) if isinstance(result, Terms) else result for result in results]


@transaction.atomic
def cancel_order(*, order: Order, now: datetime) -> Order:
    """Ask the engine to take what is left of the order off the book.

    Returns at once; the order is `CANCELLED` when the engine has sequenced the command.

    :raises OrderAlreadyDone: if it is filled, cancelled or expired
    """
    if not order.is_live:
        raise OrderAlreadyDone
    _send([order], "cancel")
    return order


@transaction.atomic
def cancel_orders(*, customer: User, instrument: Instrument | None = None, now: datetime) -> int:
    """Ask the engine to take all of a customer's open orders off the book, or off one book.

    :returns: how many are open
    """
    orders = queries.open_orders_of(customer)
    if instrument:
        orders = orders.filter(instrument=instrument)
    return _send(list(orders), "cancel")


@transaction.atomic
def cancel_orders_after(*, customer: User, timeout_s: int, now: datetime) -> datetime | None:
    """Set the customer's dead-man switch: all open orders go unless it is set again in time.

    :param timeout_s: seconds from when the engine sequences it; 0 disarms it
    :returns: about when it will act
    """
    if not 0 <= timeout_s <= LONGEST_TIMEOUT_S:
        raise TermsContradict(f"Choose 0 to {LONGEST_TIMEOUT_S} seconds.", field="timeout_s")
    payload = {"owner": customer.pk, "timeout_us": timeout_s * 1_000_000}
    Command.objects.bulk_create(
        Command(shard=shard, kind="cancel_all_after", payload=payload)
        for shard in Shard.objects.all()
    )
    realtime.nudge("engine")
    return now + timedelta(seconds=timeout_s) if timeout_s else None


@transaction.atomic
def amend_order(
    *,
    order: Order,
    quantity: Decimal | None = None,
    limit_price: Decimal | None = None,
    now: datetime,
) -> Order:
    """Ask the engine to change an order in place; a smaller quantity keeps its queue position.

    What the larger order could cost more is set aside at once.

    :param quantity: the whole new quantity in shares, what is filled already included
    :raises OrderAlreadyDone: if it is filled, cancelled or expired
    :raises InsufficientFunds: if a larger one is not covered
    """
    if not order.is_live:
        raise OrderAlreadyDone
    if order.type != Order.Type.LIMIT or order.quantity is None:
        raise TermsContradict("Only limit orders by quantity can be changed; cancel and replace.")
    scale = queries.scale_of(order.instrument)
    base = order.quantity if quantity is None else scale.base(quantity)
    price = limit_price or order.limit_price or order.instrument.tick_size
    ticks = scale.ticks(price, field="limit_price")
    remaining = base - order.filled
    if remaining <= 0:
        raise TermsContradict("That much is filled already.", field="quantity")
    rules.check_minimum(
        scale.cost(ticks, remaining), order.instrument.min_notional, field="quantity"
    )
    buying = order.side == Order.Side.BUY
    need = scale.hold_for(ticks, remaining, rules.ppm(order.taker_rate)) if buying else remaining
    increase = max(0, need - order.budget)
    if increase and order.hold_id:
        ledger.increase(increases=[(order.hold_id, increase)])
    payload = {"order": order.pk, "quantity": base, "price": ticks, "budget_increase": increase}
    _send([order], "amend", payload)
    return order


def _send(orders: Sequence[Order], kind: str, payload: dict[str, Any] | None = None) -> int:
    """Put one command for each order into the engine's inbox."""
    shards = dict(
        Book.objects.filter(instrument__in={order.instrument_id for order in orders}).values_list(
            "instrument_id", "shard_id"
        )
    )
    Command.objects.bulk_create(
        Command(
            shard_id=shards[order.instrument_id],
            kind=kind,
            order=order,
            payload=payload or {"order": order.pk},
        )
        for order in orders
    )
    realtime.nudge("engine")
    return len(orders)


def _open_accounts(customer: User, drafts: Iterable[OrderDraft]) -> dict[int, int]:
    """Find or open the customer's accounts, by asset id; dollars always."""
    assets = [books.usd().pk, *{draft.instrument.asset_id for draft in drafts}]
    ids = ledger.open_accounts(
        keys=[AccountKey(customer.pk, asset_id, "customer") for asset_id in assets]
    )
    return dict(zip(assets, ids, strict=True))


def _placement(
    terms: Terms, customer: User, accounts: dict[int, int], conditions: Conditions
) -> Placement:
    instrument = terms.draft.instrument
    return Placement(
        terms=terms,
        customer=customer.pk,
        cash=next(iter(accounts.values())),
        token=accounts[instrument.asset_id],
        shard=conditions.states[instrument.pk].shard_id,
        maker_rate=conditions.maker_rate,
        taker_rate=conditions.taker_rate,
    )
