"""A customer's orders: place and cancel.

Placing checks and prices each draft, locks the customer's accounts, sets the worst case aside and
writes order, hold and command in one transaction. From then on the engine decides.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from common.errors import DomainError
from common.money import USD
from instruments.models import Instrument
from ledger import operations as ledger
from trading import queries
from trading.models import Order, Shard
from trading.operations import counter, inbox, placing, sending
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
from trading.operations.sending import OrderAlreadyDone
from users.models import User

LONGEST_TIMEOUT_S = 86_400


class OrderUnknown(DomainError):
    """You have no such order."""

    status = 404


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
    :raises common.limits.TooManyCalls: if the customer's counter has no room for all of them
    :raises TooMuchWaiting: if too much of the customer's waits for the engine
    """
    counter.placing(customer=customer, count=len(drafts), now=now)
    conditions = conditions_for(drafts, customer, now)
    results: list[Terms | Order | DomainError] = [
        refusal_or(lambda draft=draft: terms_of(draft, conditions)) for draft in drafts
    ]
    traded = {r.draft.instrument.symbol for r in results if isinstance(r, Terms)}
    locked = ledger.lock_own_accounts(owner=customer, codes=[USD.code, *traded])
    accounts = {balance.asset_id: balance.id for balance in locked}
    balances = {balance.id: balance for balance in locked}
    results = admit(results, customer, accounts, balances, conditions)
    accepted = [result for result in results if isinstance(result, Terms)]
    placements = [_placement(terms, customer, accounts, conditions) for terms in accepted]
    orders = iter(placing.write(placements, now=now))
    return [next(orders) if isinstance(result, Terms) else result for result in results]


@transaction.atomic
def cancel_order(*, order: Order, now: datetime) -> Order:
    """Cancel an order that no engine has sequenced, or ask the engine to take it off the book.

    Returns at once. The order is `CANCELLED` already, or it will be when the engine has sequenced
    the command.

    :raises OrderAlreadyDone: if it is filled, cancelled or expired
    """
    if not order.is_live:
        raise OrderAlreadyDone
    counter.cancelling(orders=[order], now=now)
    sending.cancel([order], now=now)
    return order


@transaction.atomic
def cancel_each(
    *, customer: User, uids: Sequence[UUID], now: datetime
) -> list[Order | DomainError]:
    """Cancel some of a customer's orders as `cancel_order` does, each for itself.

    :returns: an order or why it stays as it is for each id, in order
    """
    found = {order.uid: order for order in queries.orders_of(customer).filter(uid__in=uids)}
    results = [_cancellable(found.get(uid)) for uid in uids]
    live = {r.pk: r for r in results if isinstance(r, Order)}
    counter.cancelling(orders=list(live.values()), now=now)
    sending.cancel(list(live.values()), now=now)
    return results


def _cancellable(order: Order | None) -> Order | DomainError:
    if order is None:
        return OrderUnknown()
    return order if order.is_live else OrderAlreadyDone()


@transaction.atomic
def cancel_orders(*, customer: User, instrument: Instrument | None = None, now: datetime) -> int:
    """Cancel all of a customer's open orders, or those in one book, as `cancel_order` does.

    :returns: how many were open
    """
    orders = queries.open_orders_of(customer)
    if instrument:
        orders = orders.filter(instrument=instrument)
    live = list(orders)
    counter.cancelling(orders=live, now=now)
    sending.cancel(live, now=now)
    return len(live)


@transaction.atomic
def cancel_orders_after(*, customer: User, timeout_s: int, now: datetime) -> datetime | None:
    """Set the customer's dead-man switch: all open orders go unless it is set again in time.

    :param timeout_s: seconds from when the engine sequences it; 0 disarms it
    :returns: about when it will act
    """
    if not 0 <= timeout_s <= LONGEST_TIMEOUT_S:
        raise TermsContradict(f"Choose 0 to {LONGEST_TIMEOUT_S} seconds.", field="timeout_s")
    counter.placing(customer=customer, count=1, now=now)
    payload = {"owner": customer.pk, "timeout_us": timeout_s * 1_000_000}
    shards = Shard.objects.values_list("pk", flat=True)
    inbox.insert_commands(
        [inbox.NewCommand(shard, "cancel_all_after", payload) for shard in shards]
    )
    return now + timedelta(seconds=timeout_s) if timeout_s else None


def _placement(
    terms: Terms, customer: User, accounts: dict[int, int], conditions: Conditions
) -> Placement:
    instrument, rule = terms.draft.instrument, conditions.prices.rule
    return Placement(
        terms=terms,
        customer=customer.pk,
        cash=next(iter(accounts.values())),
        token=accounts[instrument.asset_id],
        shard=conditions.states[instrument.pk].shard_id,
        maker_rate=conditions.maker_rate,
        taker_rate=conditions.taker_rate,
        max_age_s=rule.max_age_s(at_market=terms.draft.type == Order.Type.MARKET),
    )
