"""Playing the card network against this very platform: for demo, trials and support."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from uuid_utils.compat import uuid7

from common.errors import DomainError
from common.money import USD, Amount
from spending import gateways
from spending.models import Authorization, Card

logger = logging.getLogger(__name__)

TAP_PREFIX = "tap-"
TAP_CLEARS_AFTER = timedelta(seconds=20)
TAPS_A_RUN = 20

KINDS = {
    "authorize": gateways.REQUESTED,
    "advise": gateways.ADVISED,
    "increment": gateways.INCREMENTED,
    "reverse": gateways.REVERSED,
    "expire": gateways.EXPIRED,
    "capture": gateways.CLEARED,
    "force-capture": gateways.CLEARED,
    "refund": gateways.REFUNDED,
}


class NetworkRefused(DomainError):
    """The platform did not accept the event."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """What somebody buys in the demo."""

    name: str
    amount: str
    merchant: str
    mcc: str


PURCHASES = {
    "coffee": Purchase("coffee", "4.50", "Blue Door Café", "5814"),
    "groceries": Purchase("groceries", "60.00", "Green Basket", "5411"),
    "bicycle": Purchase("bicycle", "950.00", "Northwind Cycles", "5940"),
}


def send_as_network(
    *,
    act: str,
    card: Card,
    now: datetime,
    authorization: Authorization | None = None,
    amount: str | None = None,
    external_id: str = "",
    **facts: Any,
) -> dict[str, Any]:
    """Send one signed event to our own webhook and give its answer with the time it took.

    :param act: authorize, advise, increment, reverse, expire, capture, force-capture, refund
    :param amount: dollars; None for all there is to it
    :param facts: `merchant`, `mcc`, `partial_allowed`, `final`
    :raises NetworkUnreachable: if the platform does not run
    :raises NetworkRefused: if it answers with a problem
    """
    if amount is not None:
        Amount.parse(amount, USD, field="amount")
    event = {
        "id": external_id or f"sim-{uuid7()}",
        "type": KINDS[act],
        "card": card.token,
        "authorization": authorization.external_id if authorization else None,
        "amount": amount,
        "currency": "USD",
        "merchant": {"name": facts.get("merchant", ""), "category": facts.get("mcc", "")},
        "partial_allowed": facts.get("partial_allowed", False),
        "final": facts.get("final", True),
        "sent_at": now.isoformat(),
    }
    reply = gateways.network().send(event, now=now)
    if reply.status != 200:
        detail = reply.body.get("detail", "")
        raise NetworkRefused(detail, problem=reply.body.get("code"), ms=reply.ms)
    return {**reply.body, "ms": reply.ms}


def tap(*, card: Card, purchase: str, now: datetime) -> dict[str, Any]:
    """Pay with a card at a made-up merchant, through the network's door like everybody else.

    :raises NetworkUnreachable: if the platform cannot reach itself
    :raises NetworkRefused: if it answers with a problem
    """
    bought = PURCHASES[purchase]
    return send_as_network(
        act="authorize",
        card=card,
        now=now,
        amount=bought.amount,
        external_id=f"{TAP_PREFIX}{uuid7()}",
        merchant=bought.merchant,
        mcc=bought.mcc,
    )


def clear_taps(*, now: datetime) -> int:
    """Let the made-up merchants clear what was tapped a while ago; say how many did."""
    due = Authorization.objects.filter(
        status=Authorization.Status.PENDING,
        external_id__startswith=TAP_PREFIX,
        requested_at__lte=now - TAP_CLEARS_AFTER,
    ).select_related("card")[:TAPS_A_RUN]
    return sum(_clear(authorization, now) for authorization in due)


def _clear(authorization: Authorization, now: datetime) -> bool:
    try:
        send_as_network(
            act="capture",
            card=authorization.card,
            now=now,
            authorization=authorization,
            external_id=f"clear-{authorization.uid}",
        )
    except DomainError as error:
        logger.warning("tap %s did not clear, the next look will try: %s", authorization.uid, error)
        return False
    return True
