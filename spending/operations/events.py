"""What the network says after an authorization: more, less, done, given back. Each once."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from django.db import transaction

import ledger.operations
import ledger.queries
import users.operations
from common.errors import DomainError
from ledger.operations import AccountKey, Capture, Entry, Leg
from spending import gateways, presenters, queries
from spending.models import Authorization, Card, CardEvent, CardMovement
from spending.operations.authorizations import (
    LATE,
    EventIdReused,
    UnknownCard,
    answer,
    answer_in_time,
    approve_unasked,
    authorize,
    first_answer,
    lock_card,
    refusal,
    take_in_line,
)
from spending.operations.debts import claim_shortfall, recover_debt
from spending.operations.funding import lock_undoable, raise_money, record_sales, undo_sales
from trading.models import Trade

logger = logging.getLogger(__name__)

DEADLINE_S = 1.5  # the network gives us two seconds, its way here and back included
EXPIRED_A_RUN = 200

__all__ = ["UnknownCard", "expire_due", "receive_event"]


class UnknownAuthorization(DomainError):
    """No authorization of that id was asked for on this card."""

    status = 404


class NothingPending(DomainError):
    """Nothing of this authorization is pending any more."""

    status = 409


class NothingToRefund(DomainError):
    """Nothing was taken that a refund of all of it could give back."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an event led to: as much approved, or a reason why not.

    `authorization` is one that the event itself brought about: a clearing by force.
    """

    units: int
    reason: str = ""
    authorization: Authorization | None = None


def receive_event(*, payload: bytes, signature: str, now: datetime) -> str:
    """Take one signed webhook of the network and give the bytes to answer.

    :raises SignatureInvalid: if the processor did not sign it, or not just now
    :raises EventMalformed: if it says nothing we know
    :raises UnknownCard: if the card is not ours
    :raises UnknownAuthorization: if it is about an authorization nobody asked for
    :raises NothingPending: if the authorization is done
    :raises NothingToRefund: if all of nothing would be refunded
    :raises EventIdReused: if its id came before and said something else; staff are told
    :raises OutcomeUnknown: if nobody can say in time what was decided
    """
    event = gateways.processor().read(payload, signature=signature, now=now)
    try:
        deadline = monotonic() + DEADLINE_S
        if event.kind in {gateways.REQUESTED, gateways.ADVISED}:
            return authorize(event=event, now=now, deadline=deadline)
        if event.kind == gateways.INCREMENTED:
            return answer_in_time(
                decide=lambda: _apply(event, now),
                refuse=lambda: _refuse_late(event, now),
                deadline=deadline,
            )
        return _apply(event, now)
    except EventIdReused:
        _report_reuse(event, now)
        raise


def expire_due(*, now: datetime) -> int:
    """Give back what merchants never cleared, oldest first; say how many it was."""
    pending = Authorization.objects.filter(
        status=Authorization.Status.PENDING, expires_at__lte=now
    ).order_by("expires_at")
    due = pending.values_list("id", "card__token")[:EXPIRED_A_RUN]
    return sum(_expire_one(authorization, token, now) for authorization, token in due)


@transaction.atomic
def _expire_one(authorization_id: int, token: str, now: datetime) -> bool:
    lock_card(token)
    authorization = Authorization.objects.select_for_update(no_key=True).get(pk=authorization_id)
    if authorization.status != Authorization.Status.PENDING:
        return False
    _expired(authorization, now)
    return True


def _expired(authorization: Authorization, now: datetime) -> int:
    """Give back what a merchant never took, tell the customer, and say how much it was."""
    amount = authorization.pending_units
    _give_back(authorization, amount, now, expired=True)
    users.operations.notify(
        user=authorization.card.user,
        kind="card.expired",
        facts={"units": amount, "merchant": authorization.merchant},
        url="/cards/",
        now=now,
    )
    return amount


def _report_reuse(event: gateways.Event, now: datetime) -> None:
    """Write for staff what came under an id that had said something else."""
    said = {
        "event": event.id,
        "kind": event.kind,
        "amount": queries.dollars(event.amount) if event.amount else None,
        "merchant": event.merchant,
        "mcc": event.mcc,
    }
    card = Card.objects.select_related("user").get(token=event.card)
    logger.error("card %s: event %s came again and says something else", card.uid, event.id)
    users.operations.record(
        action="card.event_refused",
        actor=None,
        subject=card.user,
        at=now,
        reason="An event's id came again with other facts.",
        detail={"card": str(card.uid), **said},
    )


@transaction.atomic
def _apply(event: gateways.Event, now: datetime) -> str:
    """Carry an event out once, and remember it with its answer."""
    card = take_in_line(event)
    if before := first_answer(event):
        return before
    authorization = _authorization(card, event)
    outcome = HANDLERS[event.kind](card, authorization, event, now)
    row = _event_row(event, card, authorization or outcome.authorization, outcome, now)
    row.save(force_insert=True)
    return row.answer


def _refuse_late(event: gateways.Event, now: datetime) -> str:
    """Decline an increment that took too long; if a twin of it was decided, that stands."""
    card = Card.objects.filter(token=event.card).first()
    if card is None:
        raise UnknownCard
    given = Authorization.objects.filter(card=card, external_id=event.authorization).first()
    row = _event_row(event, card, given, Outcome(0, LATE), now)
    CardEvent.objects.bulk_create([row], ignore_conflicts=True)
    return first_answer(event) or row.answer


def _event_row(
    event: gateways.Event,
    card: Card,
    authorization: Authorization | None,
    outcome: Outcome,
    now: datetime,
) -> CardEvent:
    """Say an event and what it led to as its row, with the bytes to answer."""
    told = answer(
        "declined" if outcome.reason else "approved",
        reason=outcome.reason,
        units=outcome.units,
        uid=authorization.uid if authorization else None,
    )
    return CardEvent(
        external_id=event.id,
        kind=event.kind,
        card=card,
        authorization=authorization,
        amount_units=event.amount or outcome.units,
        answer=told,
        digest=event.digest,
        received_at=now,
    )


def _authorization(card: Card, event: gateways.Event) -> Authorization | None:
    """Lock the authorization an event is about, if it is about one."""
    if not event.authorization:
        return None
    mine = Authorization.objects.select_for_update(no_key=True).filter(card=card)
    found = mine.filter(external_id=event.authorization).first()
    if found is None:
        raise UnknownAuthorization
    found.card = card
    return found


def _pending(authorization: Authorization | None) -> Authorization:
    if authorization is None:
        raise UnknownAuthorization
    if authorization.status != Authorization.Status.PENDING:
        raise NothingPending
    return authorization


def _increment(
    card: Card, given: Authorization | None, event: gateways.Event, now: datetime
) -> Outcome:
    """Set more aside for a merchant who asks for more: all of it or none."""
    authorization = _pending(given)
    amount = event.amount or 0
    if reason := refusal(card, event.amount or 0, now):
        return Outcome(0, reason)
    key = f"card:{authorization.uid}:{authorization.sales.count()}"
    raised = raise_money(card=card, amount=amount, partial=False, key=key, now=now)
    if raised.reason:
        return Outcome(0, raised.reason)
    assert authorization.hold_id, "a pending authorization has a hold"
    ledger.operations.increase(increases=[(authorization.hold_id, amount)])
    record_sales(authorization=authorization, trades=raised.trades, now=now)
    authorization.authorized_units += amount
    authorization.save(update_fields=["authorized_units"])
    users.operations.notify(
        user=card.user,
        kind="card.incremented",
        facts={
            "units": amount,
            "merchant": authorization.merchant,
            **queries.sold_facts(raised.trades),
        },
        url="/cards/",
        now=now,
    )
    return Outcome(amount)


def _reverse(
    card: Card, given: Authorization | None, event: gateways.Event, now: datetime
) -> Outcome:
    """Give back what the merchant does not want: cash, or soon enough the shares sold for it."""
    authorization = _pending(given)
    pending = authorization.pending_units
    amount = min(event.amount or pending, pending)
    undoable = lock_undoable(authorization=authorization, now=now) if amount == pending else []
    _give_back(authorization, amount, now)
    undone = undo_sales(sales=undoable, now=now)
    _tell_of_reversal(card, authorization, amount, undone, now)
    return Outcome(amount)


def _tell_of_reversal(
    card: Card,
    authorization: Authorization,
    amount: int,
    undone: Sequence[Trade],
    now: datetime,
) -> None:
    users.operations.notify(
        user=card.user,
        kind="card.reversed",
        facts={
            "units": amount,
            "merchant": authorization.merchant,
            "undone": queries.sold_facts(undone)["sold"],
            "sold": authorization.sales.count(),
        },
        url="/cards/",
        now=now,
    )


def _expire(
    card: Card, given: Authorization | None, event: gateways.Event, now: datetime
) -> Outcome:
    return Outcome(_expired(_pending(given), now))


def _clear(
    card: Card, given: Authorization | None, event: gateways.Event, now: datetime
) -> Outcome:
    """Take the money for good: it always posts, whatever became of card and authorization.

    What is raised for the merchant goes to the merchant; only what is left pays an older debt.
    """
    if not queries.debt_of(card.user):
        return _take(card, given, event, now)
    ledger.operations.let_claims_wait()
    outcome = _take(card, given, event, now)
    ledger.operations.take_claims(account_ids=_accounts(card, []))
    return outcome


def _take(card: Card, given: Authorization | None, event: gateways.Event, now: datetime) -> Outcome:
    """Post a clearing.

    First what is set aside. What is taken beyond that, a tip or a late clearing, is raised from
    what pays for the card, like any purchase; so is what comes by force, without an authorization.
    What nothing covers the house pays, and the customer owes it: the card is frozen.
    """
    amount = event.amount or (given.pending_units if given else 0)
    if amount <= 0:
        raise NothingPending
    cash, settlement, fees = _accounts(card, ("card_settlement", "fees"))
    given = given or approve_unasked(card=card, event=event, also=[settlement, fees], now=now)
    aside = min(amount, given.pending_units) if given else 0
    trades = _raise_rest(given, event, amount - aside, [settlement, fees], now) if given else []
    balance = ledger.operations.lock_accounts(account_ids=[cash, settlement, fees])[cash]
    paid = min(amount, balance.available + aside)
    legs = [Leg(cash, settlement, paid)] if paid else []
    if shortfall := amount - paid:
        legs.append(Leg(fees, settlement, shortfall))
    captures = [Capture(given.hold_id, aside)] if given and given.hold_id and aside else []
    _post(card, given, event, "card_clearing", legs, captures, now, shortfall_units=shortfall)
    if given and aside:
        given.captured_units += aside
        _close_if_done(given, now)
        if event.final and given.pending_units:
            _give_back(given, given.pending_units, now)
    if amount > aside:
        _tell_of_more(card, given, amount, aside, trades, now)
    if shortfall:
        claim_shortfall(cash_account=cash, units=shortfall)
        _freeze_over(card, shortfall, now)
    return Outcome(amount, authorization=given)


def _raise_rest(
    given: Authorization, event: gateways.Event, units: int, also: Sequence[int], now: datetime
) -> list[Trade]:
    """Sell what the card's sources have to sell for what is taken beyond the USD set aside."""
    if units <= 0:
        return []
    raised = raise_money(
        card=given.card, amount=units, partial=True, key=f"card:{event.id}", now=now, also=also
    )
    record_sales(authorization=given, trades=raised.trades, now=now)
    return raised.trades


def _tell_of_more(
    card: Card,
    given: Authorization | None,
    amount: int,
    aside: int,
    trades: Sequence[Trade],
    now: datetime,
) -> None:
    """Tell the customer that a merchant took more than was set aside."""
    users.operations.notify(
        user=card.user,
        kind="card.cleared_more",
        facts={
            "units": amount,
            "aside_units": aside,
            "merchant": given.merchant if given else "",
            **queries.sold_facts(trades),
        },
        url="/cards/",
        now=now,
    )


def _refund(
    card: Card, given: Authorization | None, event: gateways.Event, now: datetime
) -> Outcome:
    """Put money back into the customer's cash; unlinked ones too.

    What the settlement account lacks for it comes from the network, outside. The network cannot be
    refused: what comes before its clearing, or is more than was taken, is flagged for staff. Who
    owes the house pays it back first, in the same transaction: nobody spends it in between.
    """
    back = queries.refundable(given) if given else 0
    amount = event.amount or back
    if amount <= 0:
        raise NothingToRefund
    odd = ""
    if given and amount > back:
        taken = given.movements.filter(kind=CardMovement.Kind.CLEARING).exists()
        odd = CardMovement.Odd.MORE if taken else CardMovement.Odd.EARLY
    cash, settlement, outside, fees = _accounts(card, ("card_settlement", "external", "fees"))
    owes = bool(queries.debt_of(card.user))
    locked = [cash, settlement, outside, *([fees] if owes else [])]
    balance = ledger.operations.lock_accounts(account_ids=locked)[settlement]
    from_settlement = min(amount, balance.available)
    legs = [Leg(settlement, cash, from_settlement)] if from_settlement else []
    if amount > from_settlement:
        legs.append(Leg(outside, cash, amount - from_settlement))
    _post(card, given, event, "card_refund", legs, [], now, odd=odd)
    users.operations.notify(
        user=card.user,
        kind="card.refunded",
        facts={
            "units": amount,
            "merchant": event.merchant or (given.merchant if given else ""),
        },
        url="/cards/",
        now=now,
    )
    if owes:
        recover_debt(user_id=card.user_id, now=now)
    return Outcome(amount)


Handler = Callable[[Card, Authorization | None, gateways.Event, datetime], Outcome]
HANDLERS: dict[str, Handler] = {
    gateways.INCREMENTED: _increment,
    gateways.REVERSED: _reverse,
    gateways.EXPIRED: _expire,
    gateways.CLEARED: _clear,
    gateways.REFUNDED: _refund,
}


def _accounts(card: Card, roles: Sequence[str]) -> list[int]:
    """Open the customer's cash account and some of the house's, all in dollars."""
    usd = ledger.queries.usd()
    house = [AccountKey(None, usd.pk, role) for role in roles]
    return ledger.operations.open_accounts(
        keys=[AccountKey(card.user_id, usd.pk, "customer"), *house]
    )


def _post(
    card: Card,
    given: Authorization | None,
    event: gateways.Event,
    kind: str,
    legs: list[Leg],
    captures: list[Capture],
    now: datetime,
    **more: Any,
) -> None:
    """Post one journal for the event, and keep the movement, with what more it says, beside it."""
    entry = Entry(key=f"card:{event.id}", kind=kind, legs=legs, captures=captures)
    (journal,) = ledger.operations.post(entries=[entry], occurred_at=now)
    CardMovement.objects.create(
        external_id=event.id,
        kind=kind.removeprefix("card_"),
        authorization=given,
        card=card,
        merchant=event.merchant or (given.merchant if given else ""),
        mcc=event.mcc or (given.mcc if given else ""),
        amount_units=sum(leg.amount for leg in legs),
        **more,
        journal_id=journal,
        posted_at=now,
    )


def _give_back(
    authorization: Authorization, amount: int, now: datetime, *, expired: bool = False
) -> None:
    """Release a part of the hold and count it as reversed or expired."""
    if amount <= 0 or authorization.hold_id is None:
        raise NothingPending
    ledger.operations.release(releases=[(authorization.hold_id, amount)])
    if expired:
        authorization.expired_units += amount
    else:
        authorization.reversed_units += amount
    _close_if_done(authorization, now)


def _close_if_done(authorization: Authorization, now: datetime) -> None:
    """Close it when nothing is pending; how, follows from what became of most of it."""
    statuses = Authorization.Status
    if not authorization.pending_units:
        ended = statuses.EXPIRED if authorization.expired_units else statuses.REVERSED
        authorization.status = statuses.CLOSED if authorization.captured_units else ended
        authorization.closed_at = now
    authorization.save(
        update_fields=[
            "captured_units",
            "reversed_units",
            "expired_units",
            "status",
            "closed_at",
        ]
    )


def _freeze_over(card: Card, shortfall: int, now: datetime) -> None:
    """Stop a card whose holder owes us; the holder cannot thaw it."""
    if card.status == Card.Status.CANCELLED:
        return
    card.status, card.frozen_by = Card.Status.FROZEN, None
    card.frozen_reason = presenters.shortfall_words(shortfall)
    card.save(update_fields=["status", "frozen_by", "frozen_reason"])
    users.operations.notify(
        user=card.user,
        kind="card.frozen",
        facts={"last_four": card.last_four, "short_units": shortfall},
        url="/cards/",
        now=now,
    )
    users.operations.record(
        action="card.frozen",
        actor=None,
        subject=card.user,
        at=now,
        reason=card.frozen_reason,
        detail={"card": str(card.uid)},
    )
