"""Taking off the orders of customers who may trade no longer.

Who is frozen, closed or shut out keeps no order; who may only sell keeps no purchase. The orders go
in the transaction that bars the customer. The sweep a few seconds later finds an order that was
being accepted at that moment, and those of customers whom a new row of the policy bars.
"""

from datetime import datetime
from itertools import groupby
from operator import attrgetter

from django.db import transaction
from django.db.models import Q

from kyc import queries as kyc
from trading.models import Order
from trading.operations import sending
from users.models import User


def cancel_orders_of_barred(*, customer: User | None = None, now: datetime) -> int:
    """Cancel what barred customers may not trade, or ask the engine to.

    Each customer's orders go in a transaction of their own. The engine numbers executions customer
    by customer too, and in its own order: who held the numbers of two could deadlock with it.

    :param customer: one customer, else everybody
    :returns: how many orders
    """
    orders = Order.objects.filter(status__in=Order.LIVE, customer__isnull=False)
    if customer:
        orders = orders.filter(customer=customer)
    shut = kyc.who_is_shut_out("customer__")
    buying = Q(side=Order.Side.BUY) & kyc.who_may_only_sell(now.date(), "customer__")
    barred = list(orders.filter(shut | buying).order_by("customer_id", "id"))
    for _, theirs in groupby(barred, key=attrgetter("customer_id")):
        with transaction.atomic():
            sending.cancel(list(theirs), now=now)
    return len(barred)
