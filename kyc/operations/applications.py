"""The way of an application: answered, submitted, checked, decided."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

import users.operations
from common.encryption import EncryptedText
from common.errors import DomainError
from kyc import queries, rules
from kyc.models import AgreementAcceptance, Application, CheckResult
from kyc.signals import status_changed
from users.models import User

Status = Application.Status
PAGE = "/verify/"
TIES = ("residence", "us_person", "citizenship", "tax_residence")
INDEXES = ("names_index",)
ENCRYPTED = [
    field.attname
    for field in Application._meta.concrete_fields  # noqa: SLF001 - Django's own, documented
    if isinstance(field, EncryptedText)
]


class ApplicationNotEditable(DomainError):
    """Your answers are with us and can't be changed now; write to support if one is wrong."""

    status = 409


class ApplicationIncomplete(DomainError):
    """Some answers are still missing."""


class AgreementsMissing(DomainError):
    """Accept the present version of every agreement."""


class ApplicationChanged(DomainError):
    """The application has changed since you opened it; read it again and decide then."""

    status = 409


class ApplicationNotInReview(DomainError):
    """This application does not wait for a decision."""

    status = 409


class OwnApplication(DomainError):
    """Nobody decides on their own application."""

    status = 403


class AccountNotOpen(DomainError):
    """The account is not in a state that allows this."""

    status = 409


class MessageMissing(DomainError):
    """Tell the customer why."""

    field = "message"


class AnswerUnsound(DomainError):
    """Look at this answer again."""

    status = 400


class CannotServe(DomainError):
    """We cannot open an account for you."""


@transaction.atomic
def save_draft(*, user: User, answers: Mapping[str, Any], now: datetime) -> Application:
    """Keep some of a customer's answers; the first ones start the application.

    Who cannot be served hears it at the answer that shows it, and that is not kept: it may have
    been a slip.

    :param answers: by field name; those left out stay as they are
    :raises ApplicationNotEditable: once it is submitted
    :raises AnswerUnsound: naming the answer that cannot be true
    :raises CannotServe: naming the answer that excludes them, with the reason
    """
    unknown = set(answers) - set(queries.REQUIRED)
    if unknown:
        raise TypeError(f"not an answer: {sorted(unknown)}")
    Application.objects.get_or_create(user_id=user.pk, defaults={"created_at": now})
    application = _lock(user=user)
    if application.status not in queries.EDITABLE:
        raise ApplicationNotEditable
    for name, answer in answers.items():
        setattr(application, name, answer)
    _require_sound(application, answers, now=now)
    application.version += 1
    application.save(update_fields=[*answers, *INDEXES, "version"])
    return application


def _require_sound(application: Application, new: Mapping[str, Any], *, now: datetime) -> None:
    """Ask an answer back that cannot be true, and tell who cannot be served."""
    answers, today = queries.answers_of(application), now.date()
    given = {name: answer for name, answer in new.items() if answer and name != "postal_code"}
    for name, answer in given.items():
        _require(rules.wrong_with(name, answer, answers, today), name)
    if "birth_date" in given:
        _require_served(rules.age(given["birth_date"], today), "birth_date")
    if told := [name for name in TIES if name in new]:
        ties = queries.ties_of(application)
        _require_served(rules.jurisdiction(ties, queries.policy(today, ties)), told[0])
    if {"residence", "postal_code"} & set(new):
        code = answers["postal_code"]
        _require(rules.wrong_with("postal_code", code, answers, today), "postal_code")


def _require(fault: str | None, field: str) -> None:
    if fault:
        raise AnswerUnsound(fault, field=field)


def _require_served(found: rules.Finding, field: str) -> None:
    if found.outcome == "fail":
        raise CannotServe(found.reason, field=field)


@transaction.atomic
def submit(
    *, user: User, agreements: Iterable[tuple[str, str]], ip_address: str, now: datetime
) -> Application:
    """Hand the application in: the agreements are recorded, the checks run, and a person decides.

    Who is excluded by age or by policy is refused at once, with the reason, and nobody has to look.

    :param agreements: (document, version) of each that the customer accepted
    :param ip_address: from where
    :raises ApplicationNotEditable: once it is submitted
    :raises ApplicationIncomplete: with the missing fields' names as the fact `missing`
    :raises AgreementsMissing: with the documents as the fact `missing`
    """
    application = _lock(user=user)
    if application.status not in queries.EDITABLE:
        raise ApplicationNotEditable
    if missing := queries.missing_fields(application):
        raise ApplicationIncomplete(missing=missing)
    accepted = set(agreements)
    if lacking := rules.missing_agreements(accepted):
        raise AgreementsMissing(missing=[one.document for one in lacking])
    _accept(application, ip_address=ip_address, now=now)
    findings = _check(application, now=now)
    application.submitted_at = now
    if reasons := rules.refusals(findings):
        application.decided_at = now
        application.message = " ".join(reasons)
    _move(application, Status.REJECTED if reasons else Status.IN_REVIEW)
    users.operations.record(
        action="application.refused" if reasons else "application.submitted",
        actor=None if reasons else user,
        subject=user,
        at=now,
        reason=application.message,
        detail={"checks": {finding.name: finding.outcome for finding in findings}},
    )
    return application


@transaction.atomic
def approve(
    *,
    application: Application,
    actor: User,
    version: int,
    message: str = "",
    internal_note: str = "",
    now: datetime,
) -> Application:
    """Open the account: the customer may trade, deposit and spend from now on.

    :param version: of the application as the approver saw it
    :param message: what the customer reads beside the result
    :param internal_note: what only staff read
    :raises OwnApplication: if the approver is the applicant
    :raises ApplicationNotInReview: if it doesn't wait for a decision
    :raises ApplicationChanged: if it isn't the version the approver saw
    :raises queries.NotEligible: if policy excludes the applicant by now
    """
    locked = _lock_for_decision(
        application, actor, version, queries.QUEUE, ApplicationNotInReview()
    )
    ties = queries.ties_of(locked)
    finding = rules.jurisdiction(ties, queries.policy(now.date(), ties))
    if finding.outcome == "fail":
        raise queries.NotEligible(finding.reason)
    said = "application.approved"
    return _decide(locked, Status.ACTIVE, said, actor, message, internal_note, now)


@transaction.atomic
def reject(
    *,
    application: Application,
    actor: User,
    version: int,
    message: str,
    internal_note: str = "",
    now: datetime,
) -> Application:
    """Refuse to open the account, with a message that says why.

    :raises MessageMissing: if the customer would not learn why
    :raises OwnApplication: if the reviewer is the applicant
    :raises ApplicationNotInReview: if it doesn't wait for a decision
    :raises ApplicationChanged: if it isn't the version the reviewer saw
    """
    if not message.strip():
        raise MessageMissing
    locked = _lock_for_decision(
        application, actor, version, queries.QUEUE, ApplicationNotInReview()
    )
    said = "application.rejected"
    return _decide(locked, Status.REJECTED, said, actor, message, internal_note, now)


@transaction.atomic
def reopen(*, application: Application, actor: User, reason: str, now: datetime) -> Application:
    """Give a rejected application back to the customer, who may correct it and submit again.

    :raises OwnApplication: if it is the actor's own
    :raises ApplicationNotInReview: if it isn't rejected
    """
    refusal = ApplicationNotInReview("Only a rejected application can be given back.")
    locked = _lock_for_decision(application, actor, None, (Status.REJECTED,), refusal)
    _move(locked, Status.ACTION_REQUIRED)
    users.operations.notify(
        user=locked.user,
        kind="application.reopened",
        facts={"message": ""},
        url=PAGE,
        now=now,
    )
    _record_decision("application.reopened", locked, actor, now, reason=reason)
    return locked


@transaction.atomic
def restrict(
    *,
    application: Application,
    actor: User,
    version: int,
    message: str,
    internal_note: str = "",
    now: datetime,
) -> Application:
    """Let the customer only sell what they hold and withdraw; what they wanted to buy is taken off.

    One person does this at once, and two lift it again.

    :param version: of the application as the actor saw it
    :param message: what the customer reads
    :raises MessageMissing: without one
    :raises OwnApplication: if it is the actor's own
    :raises AccountNotOpen: unless the account is active
    :raises ApplicationChanged: if it isn't the version the actor saw
    """
    locked = _lock_account(application, actor, version, message, (Status.ACTIVE,))
    said = "account.restricted"
    return _decide(locked, Status.RESTRICTED, said, actor, message, internal_note, now)


@transaction.atomic
def freeze(
    *,
    application: Application,
    actor: User,
    version: int,
    message: str,
    internal_note: str = "",
    now: datetime,
) -> Application:
    """Stop everything on an account: orders are taken off, and cards pay nothing more.

    One person does this at once, and two lift it again.

    :param version: of the application as the actor saw it
    :param message: what the customer reads
    :raises MessageMissing: without one
    :raises OwnApplication: if it is the actor's own
    :raises AccountNotOpen: unless the account is active or restricted
    :raises ApplicationChanged: if it isn't the version the actor saw
    """
    open_ = (Status.ACTIVE, Status.RESTRICTED)
    locked = _lock_account(application, actor, version, message, open_)
    said = "account.frozen"
    return _decide(locked, Status.FROZEN, said, actor, message, internal_note, now)


@transaction.atomic
def lift(
    *,
    application: Application,
    actor: User,
    version: int,
    message: str,
    internal_note: str = "",
    now: datetime,
) -> Application:
    """Open a restricted or frozen account again. What was taken off stays off.

    :param version: of the application as the actor saw it
    :param message: what the customer reads
    :raises MessageMissing: without one
    :raises OwnApplication: if it is the actor's own
    :raises AccountNotOpen: unless the account is restricted or frozen
    :raises ApplicationChanged: if it isn't the version the actor saw
    """
    stopped = (Status.RESTRICTED, Status.FROZEN)
    locked = _lock_account(application, actor, version, message, stopped)
    said = "account.lifted"
    return _decide(locked, Status.ACTIVE, said, actor, message, internal_note, now)


def _decide(
    locked: Application,
    status: str,
    said: str,
    actor: User,
    message: str,
    internal_note: str,
    now: datetime,
) -> Application:
    """Move an application or account, tell its customer, and write who did it.

    :param said: the kind of what the customer is told, and of what is written down
    """
    locked.decided_at, locked.decided_by = now, actor
    locked.message, locked.internal_note = message, internal_note
    _move(locked, status)
    users.operations.notify(
        user=locked.user, kind=said, facts={"message": message}, url=PAGE, now=now
    )
    _record_decision(said, locked, actor, now)
    return locked


def _lock(*, user: User) -> Application:
    found = Application.objects.select_for_update(no_key=True).filter(user=user).first()
    if found is None:
        raise ApplicationIncomplete("Start with your name.", missing=list(queries.REQUIRED))
    return found


def _lock_for_decision(
    application: Application,
    actor: User,
    version: int | None,
    states: Collection[str],
    refusal: DomainError,
) -> Application:
    """Lock an application that somebody else decides on, in a state and version that allow it.

    :param version: as the actor saw it; None where the decision does not depend on the answers
    :param refusal: what is raised in any other state
    """
    locked = _lock(user=application.user)
    if locked.user_id == actor.pk:
        raise OwnApplication
    if locked.status not in states:
        raise refusal
    if version not in (None, locked.version):
        raise ApplicationChanged
    return locked


def _lock_account(
    application: Application, actor: User, version: int, message: str, states: Collection[str]
) -> Application:
    if not message.strip():
        raise MessageMissing
    return _lock_for_decision(application, actor, version, states, AccountNotOpen())


def _move(application: Application, status: str) -> None:
    """Change the status, save, and announce it; every move is a new version."""
    before = application.status
    application.status = status
    application.version += 1
    application.save()
    status_changed.send(sender=Application, application=application, before=before)


def _record_decision(
    action: str, application: Application, actor: User, now: datetime, reason: str = ""
) -> None:
    users.operations.record(
        action=action,
        actor=actor,
        subject=application.user,
        at=now,
        reason=reason or application.internal_note or application.message,
        detail={"application": str(application.uid), "version": application.version},
    )


def _accept(application: Application, *, ip_address: str, now: datetime) -> None:
    AgreementAcceptance.objects.bulk_create(
        [
            AgreementAcceptance(
                application=application,
                document=one.document,
                document_version=one.version,
                accepted_at=now,
                ip_address=ip_address,
            )
            for one in rules.AGREEMENTS
        ],
        ignore_conflicts=True,
    )


def _check(application: Application, *, now: datetime) -> list[rules.Finding]:
    """Run every check and keep what each found."""
    born, ties = application.birth_date, queries.ties_of(application)
    assert born is not None
    checks: list[Callable[[], rules.Finding]] = [
        lambda: rules.age(born, now.date()),
        lambda: rules.address(application.street),
        lambda: rules.jurisdiction(ties, queries.policy(now.date(), ties)),
    ]
    findings = [check() for check in checks]
    CheckResult.objects.bulk_create(
        CheckResult(
            application=application,
            name=finding.name,
            outcome=finding.outcome,
            evidence={"reason": finding.reason} if finding.reason else {},
            checked_at=now,
        )
        for finding in findings
    )
    return findings


@transaction.atomic
def rotate_keys(*, after: int, limit: int) -> int | None:
    """Encrypt some applications anew, under the first of the keys.

    :param after: the id to go on from, 0 at first
    :param limit: how many applications at most
    :returns: the last id that was encrypted anew, None if there was none left
    :raises common.encryption.CannotDecrypt: if a value's key is missing
    """
    rows = Application.objects.select_for_update(no_key=True).filter(pk__gt=after)
    applications = list(rows.order_by("pk")[:limit])
    for application in applications:
        application.save(update_fields=[*ENCRYPTED, *INDEXES])
    return applications[-1].pk if applications else None
