"""What customers are told when they are away: of their orders, and of what happened to shares.

Who waits beside the ticket sees what becomes of an order; a notice of that would be noise. So it is
told of orders that ended later than that, and of those that the platform ended. A sweep finds them,
and a key for each order tells it once, however often the sweep is killed. So it is with those who
hold shares of which a corporate action changed the number.
"""

from datetime import datetime, timedelta

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

import ledger.queries
import users.operations
from common.money import count
from instruments.models import CorporateAction
from trading import queries
from trading.models import Order
from users.models import Notice

LOOKS_BACK = timedelta(hours=6)  # of a sweep that could not run
WATCHED = timedelta(seconds=10)  # as long as somebody waits beside a ticket
A_SWEEP = 200
OURS = ("corporate_action", "multiplier_changed", "delisted", "instrument_delisted", "aged_out")
KIND = {
    Order.Status.FILLED: "order.filled",
    Order.Status.EXPIRED: "order.expired",
    Order.Status.CANCELLED: "order.cancelled",
    Order.Status.REJECTED: "order.rejected",
}


def tell_of_orders(*, now: datetime) -> int:
    """Tell customers what became of orders that they did not watch; say of how many."""
    told = 0
    for order in _untold(now)[:A_SWEEP]:
        assert order.customer, "only customers' orders are listed"
        title, body = _words(order)
        notice = users.operations.notify(
            user=order.customer,
            kind=KIND[Order.Status(order.status)],
            title=title[:140],
            body=body,
            url=f"/orders/{order.uid}/",
            key=_key(order),
            now=now,
        )
        told += notice is not None
    return told


def tell_of_actions(*, now: datetime) -> int:
    """Tell who holds shares that a corporate action changed; say how many were told."""
    done = CorporateAction.objects.filter(
        status=CorporateAction.Status.DONE, done_at__gt=now - LOOKS_BACK
    )
    return sum(_tell_holders(action, now) for action in done.select_related("instrument"))


def _tell_holders(action: CorporateAction, now: datetime) -> int:
    assert action.ordered_at, "it was carried out"
    told = 0
    key = Concat(Value(f"action:{action.uid}:"), Cast(OuterRef("owner_id"), CharField()))
    holders = ledger.queries.holders_since(action.instrument.asset_id, action.ordered_at)
    untold = holders.filter(~Exists(Notice.objects.filter(key=key)), owner__simulated=False)
    for account in untold.select_related("owner").order_by("id")[:A_SWEEP]:
        assert account.owner, "only customers' accounts are listed"
        notice = users.operations.notify(
            user=account.owner,
            kind="shares.changed",
            title=action.title[:140],
            body=action.event,
            url=f"/portfolio/position/{action.instrument.symbol}/",
            key=f"action:{action.uid}:{account.owner_id}",
            now=now,
        )
        told += notice is not None
    return told


def _key(order: Order) -> str:
    return f"order:{order.uid}:{order.status}"


def _untold(now: datetime) -> QuerySet[Order]:
    """List orders that ended unwatched, and were not told of yet, the oldest first."""
    ended = Order.objects.filter(
        customer__simulated=False,
        venue=Order.Venue.BOOK,
        closed_at__gt=now - LOOKS_BACK,
        closed_at__isnull=False,
    ).exclude(status=Order.Status.CANCELLED, reason="customer")
    unwatched = ended.filter(Q(closed_at__gt=F("placed_at") + WATCHED) | Q(reason__in=OURS))
    key = Concat(
        Value("order:"), Cast(OuterRef("uid"), CharField()), Value(":"), OuterRef("status")
    )
    untold = unwatched.filter(~Exists(Notice.objects.filter(key=key)))
    return untold.select_related("customer", "instrument").order_by("closed_at")


def _words(order: Order) -> tuple[str, str]:
    """Say what became of an order: a title, and a line more."""
    scale = queries.scale_then(order)
    buying = order.side == Order.Side.BUY
    name = order.instrument.name
    verb = "buy" if buying else "sell"
    done = ""
    if order.filled:
        price = queries.average_price(order, scale)
        did = "bought" if buying else "sold"
        shares = f"{count(scale.shares(order.filled))} {order.instrument.symbol}"
        done = f"You {did} {shares} at ${price:,.2f} a share."
    if order.status == Order.Status.FILLED:
        return f"Your order to {verb} {name} is filled", done
    ending = {
        Order.Status.EXPIRED: "has expired",
        Order.Status.REJECTED: "was not accepted by the market",
    }.get(Order.Status(order.status), "was cancelled")
    why = {
        "corporate_action": "The shares were about to change.",
        "multiplier_changed": "The shares had just changed.",
        "cancel_all_after": "Your dead-man switch was not renewed in time.",
        "aged_out": "It waited too long for the market.",
    }.get(order.reason, "")
    rest = done or "Nothing was traded and nothing was charged."
    return f"Your order to {verb} {name} {ending}", f"{why} {rest}".strip()
