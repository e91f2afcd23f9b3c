"""Deciding on a purchase while the terminal waits."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.models import Q, Sum

import kyc.queries
import ledger.operations
import users.operations
import users.queries
from common import database
from common.errors import DomainError
from common.money import USD, Amount
from ledger.operations import HoldRequest
from spending import gateways, queries, rules
from spending.models import Authorization, Card
from spending.operations.funding import Raised, raise_money, record_sales
from trading.models import Trade
from users.models import User

LATE_STATES = {"55P03", "40P01"}  # a lock not had in time, a deadlock


class UnknownCard(DomainError):
    """No card of that token was issued here."""

    status = 404


class EventIdReused(DomainError):
    """An event of this id came before and said something else; nothing was done."""

    status = 409


class TooLate(Exception):
    """The deadline passed: whatever was done so far is undone."""


def authorize(*, event: gateways.Event, now: datetime, deadline: float) -> str:
    """Answer a merchant's request, once: the same request again gets the same bytes.

    The decision, the hold and the sale of shares it rests on stand or fall in one transaction.
    Past the deadline the answer is no, and no sale or hold is left. An advice (it happened
    already) asks neither for the card's state nor the customer's, and takes what there is.

    :param deadline: on the monotonic clock, in s
    :raises UnknownCard: if the card is not ours
    :raises EventIdReused: if the id came before with another amount, card, merchant or kind
    """
    try:
        with transaction.atomic():
            _wait_no_longer_than(deadline)
            card = take_in_line(event)
            return first_answer(event) or _decide(card, event, now, deadline)
    except TooLate:
        return _refuse_late(event, now)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", "") not in LATE_STATES:
            raise
        return _refuse_late(event, now)


def take_in_line(event: gateways.Event) -> Card:
    """Lock an event's id, whichever card it names, and then the card.

    :raises UnknownCard: if the card is not ours
    """
    database.prepared(
        "SELECT pg_advisory_xact_lock(hashtextextended('card_event:' || %s, 0))", [event.id]
    )
    return lock_card(event.card)


def lock_card(token: str) -> Card:
    """Lock a card's row, which puts everything about the card in line.

    :raises UnknownCard: if the card is not ours
    """
    cards = Card.objects.select_for_update(of=("self",), no_key=True).select_related("user")
    card = cards.filter(token=token).first()
    if card is None:
        raise UnknownCard
    return card


def first_answer(event: gateways.Event) -> str | None:
    """Give what the same event was answered before, or None if it is new.

    :raises EventIdReused: if its id came before and said something else
    """
    rows = database.prepared(
        """
        SELECT digest, answer FROM spending_authorization WHERE external_id = %(id)s
        UNION ALL SELECT digest, answer FROM spending_cardevent WHERE external_id = %(id)s
        """,
        {"id": event.id},
    )
    if any(digest not in {"", event.digest} for digest, _ in rows):
        raise EventIdReused
    return rows[0][1] if rows else None


def answer(decision: str, *, reason: str = "", units: int = 0, uid: UUID | None) -> str:
    """Write what the network is told."""
    return json.dumps(
        {
            "decision": decision,
            "reason": reason or None,
            "approved_amount": queries.dollars(units),
            "authorization": str(uid) if uid else None,
        }
    )


def refusal(card: Card, units: int, now: datetime) -> str:
    """Say why the card may not pay so much now, or nothing.

    :param units: of dollars
    """
    if card.status != Card.Status.ACTIVE:
        return queries.REASON_OF_STATUS[card.status]
    if card.expires_on <= now.date():
        return "card_expired"
    if not kyc.queries.standing(card.user).can["spend"]:
        return "kyc_restricted"
    return "security_hold" if _beyond_everyday(card.user, units, now) else ""


def _beyond_everyday(user: User, units: int, now: datetime) -> bool:
    """Say whether a purchase is too much soon after how the account is entered was changed.

    Cards that exist go on paying small amounts then. They are counted over all cards, with what is
    still pending from before (it may be increased), and with the customer's row locked.
    """
    if (until := users.queries.value_held_until(user, now=now)) is None:
        return False
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    began = until - settings.SECURITY_HOLD
    counted = Authorization.objects.filter(
        Q(requested_at__gte=began) | Q(status=Authorization.Status.PENDING), card__user=user
    )
    paid = counted.aggregate(units=Sum("authorized_units"))["units"] or 0
    return paid + units > Amount.parse(settings.SECURITY_HOLD_CARDS_USD, USD).units


def _decide(card: Card, event: gateways.Event, now: datetime, deadline: float) -> str:
    asked = _request(card, event, now)
    advised = event.kind == gateways.ADVISED
    reason, trades = "" if advised else refusal(card, asked.requested_units, now), []
    if not reason:
        raised = raise_money(
            card=card,
            amount=asked.requested_units,
            partial=event.partial_allowed or advised,
            key=f"card:{asked.uid}",
            now=now,
        )
        reason, trades = raised.reason, raised.trades
        if raised.units:
            _approve(asked, raised)
    if asked.decision == Authorization.Decision.DECLINED:
        asked.reason = reason
    _settle_answer(asked)
    asked.save(force_insert=True)
    record_sales(authorization=asked, trades=trades, now=now)
    _tell(asked, trades, now)
    if monotonic() > deadline:
        raise TooLate
    return asked.answer


def _request(card: Card, event: gateways.Event, now: datetime) -> Authorization:
    """Write down what is asked, declined until something else is decided."""
    assert event.amount is not None, "the gateway lets no request through without an amount"
    return Authorization(
        external_id=event.id,
        card=card,
        merchant=event.merchant,
        mcc=event.mcc,
        requested_units=event.amount,
        decision=Authorization.Decision.DECLINED,
        status=Authorization.Status.DECLINED,
        requested_at=now,
        expires_at=now + timedelta(days=rules.lifetime_days(event.mcc)),
        closed_at=now,
        digest=event.digest,
    )


def _approve(asked: Authorization, raised: Raised) -> None:
    """Set the money aside."""
    request = HoldRequest(raised.cash_account, raised.units, f"card:{asked.uid}")
    (asked.hold_id,) = ledger.operations.hold(requests=[request])
    partial = raised.units < asked.requested_units
    decisions = Authorization.Decision
    asked.decision = decisions.PARTIAL if partial else decisions.APPROVED
    asked.status = Authorization.Status.PENDING
    asked.authorized_units = raised.units
    asked.closed_at = None


def _settle_answer(asked: Authorization) -> None:
    asked.answer = answer(
        asked.decision, reason=asked.reason, units=asked.authorized_units, uid=asked.uid
    )


def _tell(asked: Authorization, trades: Sequence[Trade], now: datetime) -> None:
    """Tell the customer at once; the page of the card follows the same event."""
    where = f" at {asked.merchant}" if asked.merchant else ""
    if asked.decision == Authorization.Decision.DECLINED:
        title = f"${queries.dollars(asked.requested_units)}{where} was declined"
        body = queries.REASONS.get(asked.reason, "")
    else:
        title = f"You paid ${queries.dollars(asked.authorized_units)}{where}"
        body = queries.sold_words(trades)
    users.operations.notify(
        user=asked.card.user,
        kind=f"card.{asked.decision}",
        title=title[:140],
        body=body,
        url="/cards/",
        now=now,
    )


def _refuse_late(event: gateways.Event, now: datetime) -> str:
    """Decline what took too long; if a twin of the request decided meanwhile, that stands."""
    card = Card.objects.select_related("user").filter(token=event.card).first()
    if card is None:
        raise UnknownCard
    asked = _request(card, event, now)
    asked.reason = "deadline_exceeded"
    _settle_answer(asked)
    with transaction.atomic():
        Authorization.objects.bulk_create([asked], ignore_conflicts=True)
        decided = Authorization.objects.get(external_id=event.id)
        if decided.uid == asked.uid:
            _tell(asked, [], now)
    return decided.answer


def _wait_no_longer_than(deadline: float) -> None:
    """Let no lock of this transaction be waited for past the deadline."""
    left_ms = int((deadline - monotonic()) * 1000)
    if left_ms <= 0:
        raise TooLate
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{left_ms}ms"])
