"""Taking back what no engine has sequenced: that is over at once, whoever leads or hangs.

The engine locks the commands that it takes, and whoever withdraws locks those of an order. Both
skip what the other has locked, so neither waits and exactly one of them gets an order's place
command.
"""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from common import database, realtime
from ledger import operations as ledger
from trading import queries
from trading.models import Order
from trading.operations import log

REASON = "customer"

# The place commands that are still to be had, and with each what else waits for its order.
WITHDRAW = """
    WITH places AS (
        SELECT id, order_id FROM trading_command
        WHERE order_id = ANY (%s::bigint[]) AND kind = 'place'
          AND sequence IS NULL AND result = ''
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), followers AS (
        SELECT c.id FROM trading_command c JOIN places p ON p.order_id = c.order_id
        WHERE c.kind <> 'place' AND c.sequence IS NULL AND c.result = ''
        ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED
    ), withdrawn AS (
        UPDATE trading_command c SET result = 'withdrawn', reason = %s
        WHERE c.id IN (SELECT id FROM places UNION ALL SELECT id FROM followers)
        RETURNING c.order_id, (c.payload->>'budget_increase')::bigint AS increase
    )
    SELECT order_id, coalesce(sum(increase), 0)::bigint FROM withdrawn GROUP BY order_id
"""

# The place command of an order for which nothing else waits.
CLAIM = """
    SELECT p.id FROM trading_command p
    WHERE p.order_id = %s AND p.kind = 'place' AND p.sequence IS NULL AND p.result = ''
      AND NOT EXISTS (SELECT FROM trading_command c WHERE c.order_id = p.order_id
                      AND c.id <> p.id AND c.sequence IS NULL AND c.result = '')
    FOR NO KEY UPDATE OF p SKIP LOCKED
"""


def claim_place(order: Order) -> int | None:
    """Lock the order's place command if no engine has sequenced it, and nothing waits behind it.

    The order given is as it is now, since it may have been withdrawn while its account was locked.

    :returns: the command's id; until the caller's transaction ends no engine takes it
    """
    if order.status != Order.Status.PENDING:
        return None
    ledger.lock_accounts(account_ids=[order.pays_from])
    claimed = database.prepared(CLAIM, [order.pk])
    order.refresh_from_db()
    return claimed[0][0] if claimed else None


@transaction.atomic
def withdraw(orders: Sequence[Order], *, now: datetime) -> set[int]:
    """Cancel those of a customer's orders that no engine has sequenced, and give their holds back.

    :returns: their ids; each order given is as it is now
    """
    pending = {order.pk: order for order in orders if order.status == Order.Status.PENDING}
    if not pending:
        return set()
    ledger.lock_accounts(account_ids={order.pays_from for order in pending.values()})
    increases = dict(database.prepared(WITHDRAW, [sorted(pending), REASON]))
    budgets = log.end_unread(
        [(id_, Order.Status.CANCELLED, REASON, now) for id_ in sorted(increases)]
    )
    for id_ in increases:
        pending[id_].refresh_from_db()
    ledger.release(
        releases=[
            (order.hold_id, units)
            for order in (pending[id_] for id_ in sorted(budgets))
            if order.hold_id and (units := budgets[order.pk] + increases[order.pk])
        ]
    )
    _announce([pending[id_] for id_ in increases])
    return set(increases)


def _announce(orders: Sequence[Order]) -> None:
    """Send the executions once they are committed, numbered like the engine's."""
    events = [
        (order.customer_id or 0, "executions", queries.describe_order(order))
        for order in sorted(orders, key=lambda order: order.execution)
    ]
    if events:
        transaction.on_commit(lambda: realtime.send_private(events), robust=True)
