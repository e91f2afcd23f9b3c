"""Deciding on a purchase while the terminal waits."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import Q, Sum

import kyc.queries
import ledger.operations
import users.operations
import users.queries
from common import database, patience
from common.errors import DomainError
from common.money import USD, Amount
from ledger.operations import HoldRequest
from spending import gateways, queries, rules
from spending.models import Authorization, Card
from spending.operations.funding import Raised, raise_money, record_sales
from trading.models import Trade
from users.models import User

LATE = "deadline_exceeded"
LATE_STATES = {"55P03", "40P01"}  # a lock not had in time, a deadlock
REFUSAL_S = 0.4  # of the deadline, kept to write down that it passed
SPENT_S = 0.02  # who has so little left to wait has waited in vain
FOR_EVER = float("inf")

logger = logging.getLogger(__name__)


class UnknownCard(DomainError):
    """No card of that token was issued here."""

    status = 404


class EventIdReused(DomainError):
    """An event of this id came before and said something else; nothing was done."""

    status = 409


class OutcomeUnknown(DomainError):
    """The answer was not found in time, and what became of the request is not known yet."""

    status = 503


class TooLate(Exception):
    """The deadline passed. What was done is undone, unless the database has not said so."""

    def __init__(self, *, is_undone: bool = True) -> None:
        """Say whether it is known to be undone."""
        self.is_undone = is_undone
        super().__init__()


def authorize(*, event: gateways.Event, now: datetime, deadline: float) -> str:
    """Answer a merchant's request, once: the same request again gets the same bytes.

    The decision, the hold and the sale of shares it rests on stand or fall in one transaction.
    Past the deadline the answer is no, and no sale or hold is left. An advice (it happened
    already) asks neither for the card's state nor the customer's, and takes what there is.

    :param deadline: on the monotonic clock, in s
    :raises UnknownCard: if the card is not ours
    :raises EventIdReused: if the id came before with another amount, card, merchant or kind
    :raises OutcomeUnknown: if nobody can say what was decided
    """

    def decide() -> str:
        card = take_in_line(event)
        return first_answer(event) or _decide(card, event, now)

    return answer_in_time(decide=decide, refuse=lambda: _refuse_late(event, now), deadline=deadline)


def answer_in_time(*, decide: Callable[[], str], refuse: Callable[[], str], deadline: float) -> str:
    """Decide in a transaction; past the deadline undo that, and write a refusal instead.

    A part of the time is the refusal's. Where even that cannot be written in it, the answer is no
    all the same, and the request would be decided afresh if it came again.

    :param deadline: on the monotonic clock, in s
    :raises OutcomeUnknown: if nobody can say whether the decision stands, since its COMMIT was not
        answered; who gets no decision reverses, and that undoes it
    """
    decided = False
    try:
        with _waiting_until(deadline - REFUSAL_S):
            told = decide()
            _require_time(deadline)
            decided = True
    except TooLate as late:
        try:
            with _waiting_until(deadline):
                return refuse()
        except TooLate as again:
            if decided and not late.is_undone:
                raise OutcomeUnknown from again
            logger.exception("a refusal for lateness was answered and could not be written")
            return answer("declined", reason=LATE, uid=None)
    return told


def take_in_line(event: gateways.Event) -> Card:
    """Lock an event's id, whichever card it names, and then the card.

    :raises UnknownCard: if the card is not ours
    """
    database.prepared(
        "SELECT pg_advisory_xact_lock(hashtextextended('card_event:' || %s, 0))", [event.id]
    )
    return lock_card(event.card)


def lock_card(token: str) -> Card:
    """Lock a card's row and its holder's, which puts everything about both in line.

    :raises UnknownCard: if the card is not ours
    """
    cards = Card.objects.select_for_update(of=("self", "user"), no_key=True).select_related("user")
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
    if rules.is_expired(card.expires_on, now.date()):
        return "card_expired"
    if not kyc.queries.standing(card.user).can["spend"]:
        return "kyc_restricted"
    if queries.debt_of(card.user):
        return "account_owes"
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


def _decide(card: Card, event: gateways.Event, now: datetime) -> str:
    asked = _request(card, event, now)
    advised = event.kind == gateways.ADVISED
    reason, trades = "" if advised else refusal(card, asked.requested_units, now), []
    if not reason and not asked.requested_units:
        asked.decision, asked.status = Authorization.Decision.APPROVED, Authorization.Status.CLOSED
    elif not reason:
        if owing := advised and bool(queries.debt_of(card.user)):
            ledger.operations.let_claims_wait()  # what is raised now was spent already
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
        if owing:
            ledger.operations.take_claims(account_ids=[raised.cash_account])
    if asked.decision == Authorization.Decision.DECLINED:
        asked.reason = reason
    _settle_answer(asked)
    asked.save(force_insert=True)
    record_sales(authorization=asked, trades=trades, now=now)
    _tell(asked, trades, now)
    return asked.answer


def approve_unasked(
    *, card: Card, event: gateways.Event, also: Sequence[int], now: datetime
) -> Authorization | None:
    """Set aside, of what a merchant takes without having asked, all that the card's sources cover.

    The caller has the event and the card in line, and clears it in the same transaction.

    :param also: accounts that the caller locks afterwards
    :returns: None if nothing covers any of it
    """
    asked = _request(card, event, now)
    asked.external_id = str(asked.uid)  # the network has no name for what it never asked
    raised = raise_money(
        card=card,
        amount=asked.requested_units,
        partial=True,
        key=f"card:{asked.uid}",
        now=now,
        also=also,
    )
    if not raised.units:
        return None
    _approve(asked, raised)
    _settle_answer(asked)
    asked.save(force_insert=True)
    record_sales(authorization=asked, trades=raised.trades, now=now)
    _tell(asked, raised.trades, now)
    return asked


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
    declined = asked.decision == Authorization.Decision.DECLINED
    users.operations.notify(
        user=asked.card.user,
        kind=f"card.{asked.decision}",
        facts={
            "units": asked.requested_units if declined else asked.authorized_units,
            "merchant": asked.merchant,
            "reason": asked.reason,
            **queries.sold_facts(trades),
        },
        url="/cards/",
        now=now,
    )


def _refuse_late(event: gateways.Event, now: datetime) -> str:
    """Decline what took too long; if a twin of the request decided meanwhile, that stands."""
    card = Card.objects.select_related("user").filter(token=event.card).first()
    if card is None:
        raise UnknownCard
    asked = _request(card, event, now)
    asked.reason = LATE
    _settle_answer(asked)
    Authorization.objects.bulk_create([asked], ignore_conflicts=True)
    told = first_answer(event)
    if told == asked.answer:
        _tell(asked, [], now)
    return told or asked.answer


def _require_time(deadline: float) -> None:
    if monotonic() >= deadline:
        raise TooLate


@contextmanager
def _waiting_until(deadline: float) -> Iterator[None]:
    """Open a transaction whose waits all end by the deadline: for locks, answers, a connection.

    The server is told to give up on a lock earlier, so that the connection survives.

    :raises TooLate: if one of them did not end in time; what was done is undone
    """
    left = min(deadline - monotonic(), patience.left() or FOR_EVER)
    with patience.within(left) as waits:
        try:
            _require_time(deadline)
            with transaction.atomic():
                locks = f"{max(1, int(left * 700))}ms"
                database.prepared("SELECT set_config('lock_timeout', %s, true)", [locks])
                yield
        except OperationalError as error:
            state = getattr(error.__cause__, "sqlstate", None)
            if state not in LATE_STATES and waits.left > SPENT_S:
                raise
            raise TooLate(is_undone=state is not None) from error
