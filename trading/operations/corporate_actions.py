"""Corporate actions: proposed with their event, approved ahead of time, carried out when due.

The row says what is due and how far it is. A sweep moves each on by one step: halt the market,
order the engine to change the multiplier, let the market go on. Every step waits until the engine
has done the one before, so a sweep may be killed or repeated anywhere.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

import users.operations
from common.errors import DomainError
from instruments import rules
from instruments.models import CorporateAction, Instrument
from trading.models import Book, Command
from trading.operations import markets
from users.models import Proposal, User
from users.operations import ProposalKind

Payload = dict[str, Any]
Status = CorporateAction.Status


class EventUnsound(DomainError):
    """The terms do not explain a new multiplier."""


class EventKnown(DomainError):
    """This event of this instrument is there already."""

    field = "event"


class ActionUnderWay(DomainError):
    """Another corporate action of this instrument is not done yet."""

    status = 409


class TooSoon(DomainError):
    """A corporate action is announced ahead."""

    field = "effective_at"


class TooLateToCancel(DomainError):
    """The engine has been told, or it is over."""

    status = 409


def _instrument(payload: Payload) -> Instrument:
    rows = Instrument.objects.select_for_update(no_key=True, of=("self",)).select_related("book")
    return rows.get(symbol=payload["symbol"], book__isnull=False)


def _terms(payload: Payload) -> rules.Terms:
    def number(name: str) -> Decimal | None:
        return None if payload[name] is None else Decimal(payload[name])

    return rules.Terms(
        payload["kind"],
        payload["ratio_to"],
        payload["ratio_from"],
        number("net_amount"),
        number("reinvestment_price"),
    )


def _effective_at(payload: Payload) -> datetime:
    return datetime.fromisoformat(payload["effective_at"])


def _after(payload: Payload, instrument: Instrument) -> Decimal:
    return rules.multiplier_after(instrument.multiplier, _terms(payload))


def _check(payload: Payload, _actor: User, now: datetime) -> None:
    instrument = _instrument(payload)
    if wrong := rules.wrong_with(_terms(payload)):
        field, sentence = wrong
        raise EventUnsound(sentence, field=field)
    markets.require_multiplier(_after(payload, instrument))
    notice = timedelta(seconds=settings.CORPORATE_ACTION_NOTICE_S)
    if _effective_at(payload) < now + notice:
        raise TooSoon(f"Name a time at least {notice} after the approval.")
    actions = instrument.corporate_actions
    if actions.filter(status__in=CorporateAction.LIVE).exists():
        raise ActionUnderWay
    if actions.exclude(status=Status.CANCELLED).filter(event__iexact=payload["event"]).exists():
        raise EventKnown


def _describe(payload: Payload) -> list[tuple[str, str, str]]:
    instrument, terms = _instrument(payload), _terms(payload)
    if terms.kind == rules.DIVIDEND:
        said = f"${terms.net_amount} a share, reinvested at ${terms.reinvestment_price}"
    else:
        said = f"{terms.ratio_to} for {terms.ratio_from}"
    return [
        ("Event", "-", payload["event"]),
        (CorporateAction.Kind(terms.kind).label, "-", said),
        (
            "Multiplier",
            f"{instrument.multiplier.normalize():f}",
            f"{_after(payload, instrument).normalize():f}",
        ),
        ("Takes effect", "-", f"{_effective_at(payload).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"),
    ]


def _version(payload: Payload) -> str:
    """Name the multiplier and the last action: another one since explains another factor."""
    instrument = _instrument(payload)
    last = instrument.corporate_actions.order_by("-id").values_list("uid", flat=True).first()
    return f"multiplier {instrument.multiplier.normalize():f}, action {last or 'none'}"


def _schedule(proposal: Proposal, actor: User, now: datetime) -> str:
    payload = proposal.payload
    instrument, terms = _instrument(payload), _terms(payload)
    action = CorporateAction.objects.create(
        instrument=instrument,
        kind=terms.kind,
        event=payload["event"],
        ratio_to=terms.ratio_to,
        ratio_from=terms.ratio_from,
        net_amount=terms.net_amount,
        reinvestment_price=terms.reinvestment_price,
        multiplier_before=instrument.multiplier,
        multiplier_after=_after(payload, instrument),
        proposal=proposal,
        scheduled_at=now,
        effective_at=_effective_at(payload),
    )
    _record("corporate_action.scheduled", action, actor, proposal.reason, now)
    return f"corporate_action:{action.uid}"


CORPORATE_ACTION = ProposalKind(
    name="trading.corporate_action",
    title="Carry out a corporate action",
    target=lambda payload: str(payload["symbol"]),
    version=_version,
    describe=_describe,
    check=_check,
    execute=_schedule,
)


def carry_out_actions(*, now: datetime) -> int:
    """Move each corporate action on by the step that is due; say how many moved."""
    live = CorporateAction.objects.filter(status__in=CorporateAction.LIVE)
    lead = timedelta(seconds=settings.CORPORATE_ACTION_HALT_S)
    due = live.filter(effective_at__lte=now + lead).order_by("id").values_list("pk", flat=True)
    return sum(_step(pk, now) for pk in list(due))


@transaction.atomic
def _step(pk: int, now: datetime) -> bool:
    locked = CorporateAction.objects.select_for_update(no_key=True, of=("self",), skip_locked=True)
    related = locked.select_related("instrument__book", "proposal__decided_by")
    action = related.filter(pk=pk, status__in=CorporateAction.LIVE).first()
    if action is None or _engine_is_behind(action):
        return False
    if action.status == Status.SCHEDULED:
        return _halt(action, now)
    if action.status == Status.ORDERED:
        return _resume(action, now)
    if action.instrument.book.state not in (Book.State.MAINTENANCE, Book.State.DELISTED):
        _tell_state(action, Book.State.MAINTENANCE, now)  # somebody opened it meanwhile
        return False
    return action.effective_at <= now and _order(action, now)


def _engine_is_behind(action: CorporateAction) -> bool:
    """Say whether the engine has not done yet what the step before told it."""
    told = Command.objects.filter(kind__in=("state", "multiplier"), sequence=None)
    return told.filter(payload__instrument=action.instrument_id).exists()


def _halt(action: CorporateAction, now: datetime) -> bool:
    book = action.instrument.book
    action.status, action.halted_at, action.state_before = Status.HALTED, now, book.state
    action.save(update_fields=["status", "halted_at", "state_before"])
    if book.state not in (Book.State.MAINTENANCE, Book.State.DELISTED):
        _tell_state(action, Book.State.MAINTENANCE, now)
    return True


def _order(action: CorporateAction, now: datetime) -> bool:
    action.status, action.ordered_at = Status.ORDERED, now
    action.save(update_fields=["status", "ordered_at"])
    markets.change_multiplier(
        book=action.instrument.book,
        multiplier=action.multiplier_after,
        actor=_approver(action),
        reason=action.event,
        now=now,
    )
    return True


def _resume(action: CorporateAction, now: datetime) -> bool:
    if action.instrument.multiplier != action.multiplier_after:
        return False  # the engine refused it: `audit_books` lists what stays like this
    action.status, action.done_at = Status.DONE, now
    action.save(update_fields=["status", "done_at"])
    book = action.instrument.book
    if book.state == Book.State.MAINTENANCE and action.state_before != book.state:
        _tell_state(action, action.state_before, now)
    return True


@transaction.atomic
def cancel_corporate_action(
    *, action: CorporateAction, actor: User, reason: str, now: datetime
) -> CorporateAction:
    """Call a corporate action off before its time; a market that it halted stays so.

    :param reason: why, for the audit trail
    :raises TooLateToCancel: if the engine has been told, or it is over
    """
    locked = CorporateAction.objects.select_for_update(no_key=True).get(pk=action.pk)
    if locked.status not in (Status.SCHEDULED, Status.HALTED):
        raise TooLateToCancel
    locked.status = Status.CANCELLED
    locked.save(update_fields=["status"])
    _record("corporate_action.cancelled", locked, actor, reason, now)
    return locked


def _tell_state(action: CorporateAction, state: str, now: datetime) -> None:
    markets.change_state(
        book=action.instrument.book,
        state=state,
        actor=_approver(action),
        reason=action.event,
        now=now,
    )


def _approver(action: CorporateAction) -> User:
    """Give who approved it: the steps are theirs."""
    approver = action.proposal.decided_by
    assert approver is not None
    return approver


def _record(verb: str, action: CorporateAction, actor: User, reason: str, now: datetime) -> None:
    users.operations.record(
        action=verb,
        actor=actor,
        subject=None,
        at=now,
        reason=reason,
        detail={
            "instrument": action.instrument.symbol,
            "event": action.event,
            "from": f"{action.multiplier_before.normalize():f}",
            "to": f"{action.multiplier_after.normalize():f}",
            "effective_at": action.effective_at.isoformat(),
        },
    )
