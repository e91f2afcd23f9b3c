"""What customers are told when they are away: of their orders, and of what happened to shares.

Who waits beside the ticket sees what becomes of an order; a notice of that would be noise. So it is
told of orders that ended later than that, of those that the platform ended, and of those that wait
on after a part was filled or their trigger has fired. A sweep finds them, and a key for each order
and what became of it tells it once, however often the sweep is killed. So it is with those who hold
shares of which a corporate action changed the number.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import CharField, Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

import ledger.queries
import users.operations
from instruments.models import CorporateAction
from trading import queries
from trading.models import NOTEWORTHY, Order
from users.models import Notice

if TYPE_CHECKING:
    from ledger.models import Account

LOOKS_BACK = timedelta(hours=6)  # of a sweep that could not run
WATCHED = timedelta(seconds=10)  # as long as somebody waits beside a ticket
A_SWEEP = 200
PARTLY, FIRED = "partially_filled", "triggered"
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
        told += _tell(order, KIND[Order.Status(order.status)], order.status, now)
    for order in _noteworthy(now)[:A_SWEEP]:
        if order.filled:
            told += _tell(order, "order.partly_filled", PARTLY, now)
        if order.engine_state.get("triggered"):
            told += _tell(order, "order.triggered", FIRED, now)
    return told


def _tell(order: Order, kind: str, state: str, now: datetime) -> bool:
    assert order.customer, "only customers' orders are listed"
    notice = users.operations.notify(
        user=order.customer,
        kind=kind,
        facts=_facts(order),
        url=f"/orders/{order.uid}/",
        key=f"order:{order.uid}:{state}",
        now=now,
    )
    return notice is not None


def tell_of_actions(*, now: datetime) -> int:
    """Tell who holds shares that a corporate action changed; say how many were told."""
    done = CorporateAction.objects.filter(
        status=CorporateAction.Status.DONE, done_at__gt=now - LOOKS_BACK
    )
    return sum(_tell_holders(action, now) for action in done.select_related("instrument"))


def _tell_holders(action: CorporateAction, now: datetime) -> int:
    told = 0
    for account in _untold_holders(action)[:A_SWEEP]:
        assert account.owner, "only customers' accounts are listed"
        notice = users.operations.notify(
            user=account.owner,
            kind="shares.changed",
            facts={"title": action.title, "event": action.event},
            url=f"/portfolio/position/{action.instrument.symbol}/",
            key=f"action:{action.uid}:{account.owner_id}",
            now=now,
        )
        told += notice is not None
    return told


def _untold_holders(action: CorporateAction) -> "QuerySet[Account]":
    """List the accounts that an action changed whose owners were not told yet."""
    assert action.ordered_at, "it was carried out"
    key = Concat(Value(f"action:{action.uid}:"), Cast(OuterRef("owner_id"), CharField()))
    holders = ledger.queries.holders_since(action.instrument.asset_id, action.ordered_at)
    untold = holders.filter(~_is_told(key), owner__simulated=False)
    return untold.select_related("owner").order_by("id")


def _untold(now: datetime) -> QuerySet[Order]:
    """List orders that ended unwatched, and were not told of yet, the oldest first."""
    ended = Order.objects.filter(
        customer__simulated=False,
        venue=Order.Venue.BOOK,
        closed_at__gt=now - LOOKS_BACK,
        closed_at__isnull=False,
    ).exclude(status=Order.Status.CANCELLED, reason="customer")
    unwatched = ended.filter(Q(closed_at__gt=F("placed_at") + WATCHED) | Q(reason__in=OURS))
    untold = unwatched.filter(~_told(OuterRef("status")))
    return untold.select_related("customer", "instrument").order_by("closed_at")


def _noteworthy(now: datetime) -> QuerySet[Order]:
    """List orders that wait on and have news that was not told yet, the oldest first."""
    live = Order.objects.filter(NOTEWORTHY, customer__simulated=False)
    unwatched = live.filter(placed_at__lt=now - WATCHED)
    partly = Q(filled__gt=0) & ~Q(_told(Value(PARTLY)))
    fired = Q(engine_state__triggered=True) & ~Q(_told(Value(FIRED)))
    untold = unwatched.filter(partly | fired)
    return untold.select_related("customer", "instrument").order_by("placed_at")


def _told(state: Value | OuterRef) -> Exists:
    return _is_told(Concat(Value("order:"), Cast(OuterRef("uid"), CharField()), Value(":"), state))


def _is_told(key: Concat) -> Exists:
    """Ask for a notice by its key.

    No plan knows that what is put together is not empty, so it says so: the index has no others.
    """
    return Exists(Notice.objects.filter(key=key).exclude(key=""))


def _facts(order: Order) -> dict[str, Any]:
    """Say what became of an order, in the shares and names of its time."""
    scale = queries.scale_then(order)
    price = queries.average_price(order, scale) if order.filled else None
    return {
        "side": order.side,
        "name": order.instrument.name,
        "symbol": order.instrument.symbol,
        "filled": str(scale.shares(order.filled)) if order.filled else None,
        "price": str(price) if price is not None else None,
        "fired": bool(order.engine_state.get("triggered")),
        "reason": order.reason,
    }
