"""What two people decide about customers: one prepares, another decides."""

from datetime import date, datetime
from typing import Any

from kyc import queries
from kyc.models import Application, RestrictedPlace
from kyc.operations import applications, policy
from users.models import Proposal, User
from users.operations import ProposalKind, policy_kind

Payload = dict[str, Any]
Status = Application.Status
STOPPED = (Status.RESTRICTED, Status.FROZEN)


def _application(payload: Payload) -> Application:
    rows = Application.objects.select_for_update(no_key=True, of=("self",)).select_related("user")
    return rows.get(uid=payload["application"])


def _check(payload: Payload, *, states: tuple[str, ...]) -> None:
    """Refuse what is decided already, or has changed since the reviewer read it."""
    application = _application(payload)
    if application.status not in states:
        if states == STOPPED:
            raise applications.AccountNotOpen
        raise applications.ApplicationNotInReview
    if application.version != payload["version"]:
        raise applications.ApplicationChanged


def _check_reject(payload: Payload, _actor: User, _now: datetime) -> None:
    _require_message(payload)
    _check(payload, states=queries.QUEUE)


def _check_lift(payload: Payload, _actor: User, _now: datetime) -> None:
    _require_message(payload)
    _check(payload, states=STOPPED)


def _require_message(payload: Payload) -> None:
    if not payload["message"].strip():
        raise applications.MessageMissing


def _approve(proposal: Proposal, actor: User, now: datetime) -> str:
    application = _application(proposal.payload)
    applications.approve(application=application, actor=actor, now=now, **_words(proposal))
    return f"application:{application.uid}"


def _reject(proposal: Proposal, actor: User, now: datetime) -> str:
    application = _application(proposal.payload)
    applications.reject(application=application, actor=actor, now=now, **_words(proposal))
    return f"application:{application.uid}"


def _reopen(proposal: Proposal, actor: User, now: datetime) -> str:
    application = _application(proposal.payload)
    applications.reopen(application=application, actor=actor, reason=proposal.reason, now=now)
    return f"application:{application.uid}"


def _lift(proposal: Proposal, actor: User, now: datetime) -> str:
    application = _application(proposal.payload)
    applications.lift(application=application, actor=actor, now=now, **_words(proposal))
    return f"application:{application.uid}"


def _words(proposal: Proposal) -> Payload:
    given = proposal.payload
    return {
        "version": given["version"],
        "message": given["message"],
        "internal_note": proposal.reason,
    }


def _kind(name: str, title: str, after: Status, check: Any, execute: Any) -> ProposalKind:
    def describe(payload: Payload) -> list[tuple[str, str, str]]:
        application = _application(payload)
        lines = [("Status", application.get_status_display(), after.label)]
        if payload.get("message"):
            lines.append(("Message to the customer", "-", payload["message"]))
        return lines

    return ProposalKind(
        name=name,
        title=title,
        target=lambda payload: str(_application(payload).user),
        version=lambda payload: f"version {_application(payload).version}",
        describe=describe,
        check=check,
        execute=execute,
        subject=lambda payload: _application(payload).user,
    )


APPROVE = _kind(
    "kyc.approve_application",
    "Open an account",
    Status.ACTIVE,
    lambda payload, _actor, _now: _check(payload, states=queries.QUEUE),
    _approve,
)
REJECT = _kind(
    "kyc.reject_application", "Refuse to open an account", Status.REJECTED, _check_reject, _reject
)
REOPEN = _kind(
    "kyc.reopen_application",
    "Give a rejected application back",
    Status.ACTION_REQUIRED,
    lambda payload, _actor, _now: _check(payload, states=(Status.REJECTED,)),
    _reopen,
)
LIFT = _kind(
    "kyc.lift_account",
    "Open a restricted or frozen account again",
    Status.ACTIVE,
    _check_lift,
    _lift,
)


def _place(payload: Payload) -> RestrictedPlace:
    return RestrictedPlace.objects.select_for_update(no_key=True).get(pk=payload["place"])


def _check_end(payload: Payload, _actor: User, now: datetime) -> None:
    policy.require_end(_place(payload), date.fromisoformat(payload["until"]), now.date())


def _end_restriction(proposal: Proposal, actor: User, now: datetime) -> str:
    place = policy.end_restriction(
        place=_place(proposal.payload),
        until=date.fromisoformat(proposal.payload["until"]),
        actor=actor,
        reason=proposal.reason,
        now=now,
    )
    return f"kyc.restrictedplace:{place.pk}"


RESTRICT_PLACE = policy_kind(
    name="kyc.restrict_place",
    title="Restrict a place",
    model=RestrictedPlace,
    key=("country", "ground"),
)
END_RESTRICTION = ProposalKind(
    name="kyc.end_restriction",
    title="End a restriction of a place",
    target=lambda payload: str(_place(payload)),
    version=lambda payload: f"until {_place(payload).until}",
    describe=lambda payload: [("Until", str(_place(payload).until or "-"), payload["until"])],
    check=_check_end,
    execute=_end_restriction,
)
KINDS = (APPROVE, REJECT, REOPEN, LIFT, RESTRICT_PLACE, END_RESTRICTION)
