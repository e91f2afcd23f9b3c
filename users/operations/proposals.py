"""What two people decide: one proposes, another of a role that may approves.

A proposal names an operation and its arguments (`payload`). Approval runs that operation in its own
transaction, once: the proposal's row is locked, and the database lets a decided row change no more.
What the proposer saw is kept as `version`; where it differs at approval the proposal ends as
`conflicted` and nothing is done.

To add a kind, an app

1. adds a line to `users.rules.PROPOSALS`: which roles propose it and which approve it;
2. writes a `ProposalKind` in its operations, whose `execute` calls the operation that does it;
3. registers it in `ready()` of its `apps.py`: `users.operations.register_kind(KIND)`.

A screen then calls `propose(kind=..., payload=..., ...)`; the list of proposals, their page, the
approval and the audit trail serve every kind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from common.errors import DomainError
from users import queries, rules
from users.models import Proposal, User
from users.operations.people import record

Payload = dict[str, Any]
Change = tuple[str, str, str]  # what, how it is, how it would be
Status = Proposal.Status


class MayNotPropose(DomainError):
    """Your role may not propose this."""

    status = 403


class MayNotApprove(DomainError):
    """Your role may not decide on this."""

    status = 403


class OwnProposal(DomainError):
    """Another person has to decide on what you proposed."""

    status = 403


class AboutYourself(DomainError):
    """Nobody proposes or decides what concerns themself."""

    status = 403


class ProposalNotOpen(DomainError):
    """This proposal has been decided already."""

    status = 409


class ProposalOpenAlready(DomainError):
    """The same thing waits for a decision already: decide on that proposal or withdraw it."""

    status = 409


class ProposalConflicted(DomainError):
    """What this is about has changed since it was proposed. Nothing was done: propose it anew."""

    status = 409


class ProposalExpired(DomainError):
    """This proposal waited too long. Nothing was done: propose it anew."""

    status = 409


class ProposerGone(DomainError):
    """Who proposed this may not propose it any more: decline it, or propose it yourself."""

    status = 409


class ReasonMissing(DomainError):
    """Say why."""

    field = "reason"


def _allow(_payload: Payload, _actor: User, _now: datetime) -> None:
    return None


def _nobody(_payload: Payload) -> User | None:
    return None


@dataclass(frozen=True, slots=True)
class ProposalKind:
    """One thing that two people decide.

    `name` is its key in `users.rules.PROPOSALS`. `title` says it as a verb: "Change a market's
    state". `target` names the thing it is about ("book:12"): one proposal of a kind may wait for
    each. `version` says in which state that thing is, and locks the rows it reads, so that they
    stay so until the end of the transaction. `describe` lists (what, before, after) for the screen.
    `execute(proposal, actor, now)` does it as `actor`, the approver, and returns what it made, as a
    reference to keep. `check(payload, actor, now)` raises a DomainError where it can't be done; it
    runs for the proposer and again for the approver. `subject` gives the person it is about.
    """

    name: str
    title: str
    target: Callable[[Payload], str]
    version: Callable[[Payload], str]
    describe: Callable[[Payload], list[Change]]
    execute: Callable[[Proposal, User, datetime], str]
    check: Callable[[Payload, User, datetime], None] = _allow
    subject: Callable[[Payload], User | None] = _nobody


_KINDS: dict[str, ProposalKind] = {}


def register_kind(kind: ProposalKind) -> None:
    """Let a kind be proposed; its roles stand in `users.rules.PROPOSALS`."""
    if kind.name not in rules.PROPOSALS:
        raise LookupError(f"{kind.name} has no line in users.rules.PROPOSALS")
    if _KINDS.setdefault(kind.name, kind) is not kind:
        raise LookupError(f"{kind.name} is registered twice")


def kind_of(name: str) -> ProposalKind:
    """Find a kind by its name."""
    return _KINDS[name]


def kinds() -> list[ProposalKind]:
    """List every kind, by name."""
    return [_KINDS[name] for name in sorted(_KINDS)]


def plain(value: Any) -> Any:
    """Write a value as JSON has it: decimals and dates as text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if value is None or isinstance(value, int | str | list):
        return value
    return str(value)  # a country is its code


@transaction.atomic
def propose(*, kind: str, payload: Payload, actor: User, reason: str, now: datetime) -> Proposal:
    """Ask another person to let this be done; nothing happens until one approves.

    :param kind: the name of a registered kind
    :param payload: the arguments of its operation; decimals, dates and times are kept as text
    :param reason: why, for who decides and for the audit trail
    :raises MayNotPropose: if no role of the actor's proposes this kind
    :raises AboutYourself: if it is about the actor
    :raises ReasonMissing: without a reason
    :raises ProposalOpenAlready: if one of this kind waits for the same thing
    :raises DomainError: whatever the kind's check refuses
    """
    sort = kind_of(kind)
    payload = {name: plain(value) for name, value in payload.items()}
    if not queries.may_propose(actor, kind):
        raise MayNotPropose
    subject = sort.subject(payload)
    if subject is not None and subject.pk == actor.pk:
        raise AboutYourself
    if not reason.strip():
        raise ReasonMissing
    sort.check(payload, actor, now)
    version, target = sort.version(payload), sort.target(payload)
    made = Proposal(
        kind=kind,
        target=target,
        payload=payload,
        changes=[list(change) for change in sort.describe(payload)],
        version=version,
        subject=subject,
        proposer=actor,
        reason=reason.strip(),
        proposed_at=now,
        expires_at=now + timedelta(days=settings.PROPOSAL_DAYS),
    )
    _expire(Proposal.objects.filter(kind=kind, target=target, expires_at__lte=now), now)
    # `proposal_open_once` decides between two at the same moment: the later inserts nothing.
    Proposal.objects.bulk_create([made], ignore_conflicts=True)
    kept = Proposal.objects.filter(uid=made.uid).first()
    if kept is None:
        raise ProposalOpenAlready
    _record("proposal.made", kept, actor, kept.reason, now)
    return kept


def approve(*, proposal: Proposal, actor: User, note: str = "", now: datetime) -> Proposal:
    """Let it be done: the kind's operation runs in this transaction, once.

    :param note: what the approver wants to be known, for the audit trail
    :raises ProposalNotOpen: if it has been decided, by this person or another
    :raises OwnProposal: if the actor proposed it, whatever their role
    :raises AboutYourself: if it is about the actor
    :raises MayNotApprove: if no role of the actor's approves this kind
    :raises ProposerGone: if the proposer was shut out, or lost the role; the proposal stays open
    :raises ProposalConflicted: if what it is about has changed since; the proposal ends
    :raises ProposalExpired: if it waited too long; the proposal ends
    :raises DomainError: whatever the operation refuses; the proposal stays open
    """
    with transaction.atomic():
        locked = _lock_for_decision(proposal, actor)
        if not queries.may_propose(locked.proposer, locked.kind):
            raise ProposerGone
        sort = kind_of(locked.kind)
        if locked.expires_at <= now:
            _end(locked, Status.EXPIRED, None, "", now)
        elif sort.version(locked.payload) != locked.version:
            _end(locked, Status.CONFLICTED, actor, note, now)
        else:
            sort.check(locked.payload, actor, now)
            locked.result = sort.execute(locked, actor, now)
            _end(locked, Status.EXECUTED, actor, note, now)
    # Outside of the transaction: the end of the proposal is kept, and the approver told.
    if locked.status == Status.EXPIRED:
        raise ProposalExpired
    if locked.status == Status.CONFLICTED:
        raise ProposalConflicted
    return locked


@transaction.atomic
def decline(*, proposal: Proposal, actor: User, note: str, now: datetime) -> Proposal:
    """Refuse it, and say why to the proposer.

    :raises ReasonMissing: without a note
    :raises ProposalNotOpen: if it has been decided
    :raises OwnProposal: if the actor proposed it, who may withdraw it instead
    :raises AboutYourself: if it is about the actor
    :raises MayNotApprove: if no role of the actor's approves this kind
    """
    if not note.strip():
        raise ReasonMissing(field="note")
    locked = _lock_for_decision(proposal, actor)
    return _end(locked, Status.DECLINED, actor, note, now)


@transaction.atomic
def withdraw(*, proposal: Proposal, actor: User, now: datetime) -> Proposal:
    """Take one's own proposal back.

    :raises ProposalNotOpen: if it has been decided
    :raises MayNotApprove: if another person proposed it
    """
    locked = _lock(proposal)
    if locked.proposer_id != actor.pk:
        raise MayNotApprove("Only who proposed it can withdraw it.")
    return _end(locked, Status.WITHDRAWN, actor, "", now)


@transaction.atomic
def expire_proposals(*, now: datetime) -> int:
    """End the proposals that nobody decided on in time; say how many."""
    return _expire(Proposal.objects.filter(expires_at__lte=now), now)


def _expire(late: QuerySet[Proposal], now: datetime) -> int:
    waiting = late.filter(status=Status.PROPOSED).select_for_update(no_key=True)
    ended = [_end(one, Status.EXPIRED, None, "", now) for one in waiting.order_by("id")]
    return len(ended)


def _lock(proposal: Proposal) -> Proposal:
    locked = Proposal.objects.select_for_update(no_key=True).get(pk=proposal.pk)
    if locked.status != Status.PROPOSED:
        raise ProposalNotOpen
    return locked


def _lock_for_decision(proposal: Proposal, actor: User) -> Proposal:
    locked = _lock(proposal)
    if locked.proposer_id == actor.pk:
        raise OwnProposal
    if locked.subject_id == actor.pk:
        raise AboutYourself
    if not queries.may_approve(actor, locked.kind):
        raise MayNotApprove
    return locked


def _end(
    proposal: Proposal, status: Proposal.Status, actor: User | None, note: str, now: datetime
) -> Proposal:
    proposal.status = status
    proposal.decided_by = actor
    proposal.decided_at = now
    proposal.note = note.strip()
    proposal.save(update_fields=["status", "decided_by", "decided_at", "note", "result"])
    _record(f"proposal.{status}", proposal, actor, proposal.note, now)
    return proposal


def _record(action: str, proposal: Proposal, actor: User | None, why: str, now: datetime) -> None:
    record(
        action=action,
        actor=actor,
        subject=proposal.subject,
        at=now,
        reason=why,
        detail={
            "proposal": str(proposal.uid),
            "kind": proposal.kind,
            "target": proposal.target,
            "version": proposal.version,
            "result": proposal.result,
        },
    )
