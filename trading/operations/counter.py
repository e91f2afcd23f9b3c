"""How often a customer may ask the market: cheap where orders live, dear where they go young.

Kraken's trading counter, in our words: placing costs one, changing or cancelling costs more the
younger the order is, and the counter falls with time. Who quotes and takes back at once is slowed
down; who leaves orders to the market is not. The limit is dated policy (`users.CallLimit`).

Redis keeps the counter and may be away. So the engine's inbox is bounded here too, in the database:
a customer has at most so many commands that no engine has sequenced.
"""

from collections.abc import Sequence
from datetime import datetime

import users.operations
from common.errors import DomainError
from trading import queries, rules
from trading.models import Order
from users.models import CallLimit, User


class TooMuchWaiting(DomainError):
    """So much of yours waits for the engine already; wait until it has answered."""

    status = 429
    retry_after = 1


def placing(*, customer: User, count: int, now: datetime) -> None:
    """Count orders that are placed, or another command that is as cheap.

    :raises common.limits.TooManyCalls: if the counter has no room for them
    :raises TooMuchWaiting: if the inbox has no room for them
    """
    _hold_to_inbox(customer.pk, count, now)
    _charge(customer, count, now)


def amending(*, order: Order, now: datetime) -> None:
    """Count a change of a customer's order, by the order's age.

    :raises common.limits.TooManyCalls: if the counter has no room for it
    :raises TooMuchWaiting: if the inbox has no room for it
    """
    assert order.customer is not None  # the house's quotes are replaced, not amended
    _hold_to_inbox(order.customer.pk, 1, now)
    _charge(order.customer, rules.amend_cost(_age_s(order, now)), now)


def cancelling(*, orders: Sequence[Order], now: datetime) -> None:
    """Count cancellations of one customer, by the orders' ages; the counter refuses none.

    To take risk off must stay possible. What they cost is felt by the next order.
    """
    cost = sum(rules.cancel_cost(_age_s(order, now)) for order in orders)
    if orders and (customer := orders[0].customer):
        _charge(customer, cost, now, forced=True)


def _age_s(order: Order, now: datetime) -> float:
    return (now - order.placed_at).total_seconds()


def _charge(customer: User, cost: int, now: datetime, *, forced: bool = False) -> None:
    if cost:
        kind = CallLimit.Kind.ORDERS
        users.operations.charge(kind=kind, user=customer, cost=cost, forced=forced, now=now)


def _hold_to_inbox(customer_id: int, count: int, now: datetime) -> None:
    """Refuse what would exceed the bound; two at once may exceed it by what each of them brings."""
    kind, scope = CallLimit.Kind.WAITING, CallLimit.Scope.CUSTOMER
    bound = users.operations.limit(kind=kind, scope=scope, now=now)
    if bound and queries.waiting_commands(customer_id, bound.capacity) + count > bound.capacity:
        raise TooMuchWaiting
