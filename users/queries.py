"""What is known about people."""

import time
from collections.abc import Callable, Iterable
from datetime import date, datetime, tzinfo
from types import SimpleNamespace
from typing import Any

from allauth.account.app_settings import PASSWORD_RESET_TOKEN_GENERATOR
from allauth.account.authentication import get_authentication_records
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone
from rest_framework.request import Request

from common import times
from common.errors import DomainError
from common.invariants import Check
from common.realtime import private_snapshot
from users import rules
from users.models import (
    AuditEntry,
    CallLimit,
    Notice,
    Proposal,
    SecurityEvent,
    User,
)

SNAPSHOT_NOTICES = 20


class ReauthenticationRequired(DomainError):
    """Prove once more that it is you (`/_allauth/app/v1/auth/reauthenticate`), then repeat this."""

    status = 403


def password_link(user: User) -> str:
    """Give the address where somebody chooses a password; it works once, for some days."""
    key = PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    names = {"uidb36": user_pk_to_url_str(user), "key": key}
    return settings.SITE_URL.rstrip("/") + reverse("account_reset_password_from_key", kwargs=names)


def simulated_customers() -> QuerySet[User]:
    """Give the customers whom the demo plays, in the order in which they came."""
    return User.objects.filter(simulated=True).order_by("id")


def unread_notices(user: User) -> QuerySet[Notice]:
    """Give what the customer has not read yet, newest first."""
    return Notice.objects.filter(user=user, read_at=None).order_by("-id")


def audit_entries_about(user: User) -> QuerySet[AuditEntry]:
    """Give what was done to a customer's case or money, newest first."""
    return AuditEntry.objects.filter(subject=user).select_related("actor").order_by("-id")


def was_recorded(action: str) -> bool:
    """Say whether something was ever done."""
    return AuditEntry.objects.filter(action=action).exists()


def proofs_in(*, session: SessionBase, user: Any) -> list[dict[str, Any]]:
    """Give how somebody proved in a session who they are, oldest first: allauth's records."""
    return list(get_authentication_records(SimpleNamespace(session=session), user))


def is_fresh(*, session: SessionBase, user: Any, within_s: float) -> bool:
    """Say whether a password, code or passkey was given in a session within so many seconds."""
    return any(
        time.time() - proof["at"] < within_s for proof in proofs_in(session=session, user=user)
    )


def require_fresh(request: Request) -> None:
    """Let a program's request through that guards an account, a moment after a proof.

    Pages say `@reauthentication_required` instead, which asks and goes on.

    :raises ReauthenticationRequired: where the last proof in the session is too old
    """
    session = request.auth if isinstance(request.auth, SessionBase) else request.session
    within_s = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
    if not is_fresh(session=session, user=request.user, within_s=within_s):
        raise ReauthenticationRequired


class ValueHeld(DomainError):
    """For a day after a change to how you sign in, nothing leaves your account."""

    status = 403


def value_held_until(user: User, *, now: datetime) -> datetime | None:
    """Say until when nothing leaves an account because how it is entered was changed, or None."""
    until = user.value_held_until
    return until if until is not None and until > now else None


def require_value_free(user: User, *, now: datetime) -> None:
    """Let value leave an account, or a new way for it to leave be made.

    :raises ValueHeld: for a day after an act of `users.rules.SECURITY_ACTS`
    """
    if until := value_held_until(user, now=now):
        raise ValueHeld(held_words(until))


def held_words(until: datetime) -> str:
    """Say in words until when value is held, and why."""
    return (
        f"How you sign in was changed, so nothing leaves your account until {times.moment(until)}."
    )


def addresses_to_tell(user: User, *, now: datetime) -> list[str]:
    """Give the address of an account, and those it was changed from while that can be undone."""
    changes = SecurityEvent.objects.filter(
        user=user, kind="email.changed", undone_at=None, at__gt=now - settings.SECURITY_UNDO
    )
    replaced = [str(change.before["email"]) for change in changes.order_by("-id")]
    return list(dict.fromkeys([user.email, *replaced]))


def security_events_of(user: User) -> QuerySet[SecurityEvent]:
    """Give what was done to how an account is entered, newest first."""
    return SecurityEvent.objects.filter(user=user).order_by("-id")


def roles_of(user: User | AnonymousUser) -> frozenset[str]:
    """Give the roles somebody has now, read anew; a superuser has all, who left has none."""
    now = User.objects.filter(pk=user.pk or 0, is_active=True, is_staff=True).first()
    if now is None:
        return frozenset()
    if now.is_superuser:
        return frozenset(rules.ROLES)
    return frozenset(now.groups.values_list("name", flat=True)) & frozenset(rules.ROLES)


def may_propose(user: User | AnonymousUser, kind: str) -> bool:
    """Say whether a role of theirs proposes this kind."""
    return not rules.PROPOSALS[kind].proposers.isdisjoint(roles_of(user))


def may_approve(user: User, kind: str) -> bool:
    """Say whether a role of theirs decides on this kind, as far as it is another's proposal."""
    return not rules.PROPOSALS[kind].approvers.isdisjoint(roles_of(user))


def proposals_seen_by(user: User) -> QuerySet[Proposal]:
    """Give the proposals of the kinds that somebody proposes or approves, newest first."""
    roles = roles_of(user)
    seen = [
        kind
        for kind, who in rules.PROPOSALS.items()
        if rules.AUDITOR in roles or roles & (who.proposers | who.approvers)
    ]
    related = Proposal.objects.select_related("proposer", "decided_by", "subject")
    return related.filter(kind__in=seen).order_by("-id")


def proposals_waiting_for(user: User) -> QuerySet[Proposal]:
    """Give the open proposals that somebody may decide on, newest first."""
    roles = roles_of(user)
    theirs = [kind for kind, who in rules.PROPOSALS.items() if roles & who.approvers]
    waiting = proposals_seen_by(user).filter(status=Proposal.Status.PROPOSED, kind__in=theirs)
    return waiting.exclude(proposer=user).exclude(subject=user)


def decisions_open_to(user: User, proposal: Proposal) -> tuple[str, ...]:
    """Name what somebody may do with a proposal now."""
    if proposal.status != Proposal.Status.PROPOSED:
        return ()
    if proposal.proposer_id == user.pk:
        return ("withdraw",)
    if proposal.subject_id == user.pk or not may_approve(user, proposal.kind):
        return ()
    return ("approve", "decline")


_finders: list[Callable[[str], Iterable[int]]] = []


def register_finder(finder: Callable[[str], Iterable[int]]) -> None:
    """Let people be found by what another app knows of them.

    :param finder: takes what staff typed and gives user ids
    """
    _finders.append(finder)


def found_by(text: str) -> set[int]:
    """Give the ids of people whom some app finds by what staff typed."""
    return {user_id for finder in _finders for user_id in finder(text)}


def zone_of(user: User) -> tzinfo:
    """Give the time zone in which somebody reads times."""
    return times.zone_of(user.time_zone) or timezone.get_default_timezone()


def notice_data(notice: Notice) -> dict[str, Any]:
    """Write a notice as the `notifications` channel sends it."""
    return {
        "id": str(notice.uid),
        "kind": notice.kind,
        "title": notice.title,
        "body": notice.body,
        "url": notice.url,
        "time": notice.created_at.isoformat(),
    }


def call_limits(today: date) -> dict[tuple[str, str], CallLimit]:
    """Give the limits in force on a day, by kind and scope."""
    rows = CallLimit.objects.filter(since__lte=today).order_by("kind", "scope", "-since")
    return {(row.kind, row.scope): row for row in rows.distinct("kind", "scope")}


@private_snapshot("notifications")
def notifications_snapshot(user: User) -> list[dict[str, Any]]:
    """Answer a new subscriber with the unread notices, newest first."""
    return [notice_data(notice) for notice in unread_notices(user)[:SNAPSHOT_NOTICES]]


CHECKS = [
    Check(
        38,
        "audit chain",
        """
        SELECT 'audit entry ' || id || ' (' || action || ') does not continue the chain'
        FROM (SELECT *, lag(digest, 1, '') OVER (ORDER BY id) AS previous
              FROM users_auditentry) AS entry
        WHERE digest <> audit_digest(previous, id, at, actor_id, subject_id, action, reason, detail)
        ORDER BY id
        """,
    ),
    Check(
        41,
        "proposals by two",
        """
        SELECT 'proposal ' || id || ' (' || kind || ') was decided by ' || CASE
            WHEN decided_by_id = proposer_id THEN 'who made it' ELSE 'whom it is about' END
        FROM users_proposal
        WHERE (decided_by_id = proposer_id AND status <> 'withdrawn')
            OR subject_id IN (proposer_id, decided_by_id)
        UNION ALL
        SELECT 'proposal ' || id || ' (' || kind || ') was executed without a second person, a'
            || ' version or in another time than its own'
        FROM users_proposal
        WHERE status = 'executed'
            AND (decided_by_id IS NULL OR version = '' OR decided_at NOT BETWEEN
                 proposed_at AND expires_at)
        UNION ALL
        SELECT 'proposal ' || proposal.id || ' (' || kind || ') was executed, and the audit trail'
            || ' does not say so'
        FROM users_proposal AS proposal
        WHERE status = 'executed' AND NOT EXISTS (
            SELECT FROM users_auditentry AS entry
            WHERE entry.action = 'proposal.executed'
                AND entry.detail ->> 'proposal' = proposal.uid::text
                AND entry.detail ->> 'version' = proposal.version
                AND entry.actor_id = proposal.decided_by_id
        )
        """,
    ),
    Check(
        41,
        "what two decide was decided by two",
        f"""
        SELECT 'audit entry ' || entry.id || ' (' || entry.action || ') belongs to no proposal'
        FROM users_auditentry AS entry
        WHERE (entry.action IN {rules.DEEDS_OF_TWO}
               OR (entry.action = 'card.activated' AND entry.actor_id <> entry.subject_id))
        AND NOT EXISTS (
            SELECT FROM users_proposal AS proposal
            WHERE proposal.status = 'executed' AND proposal.decided_by_id = entry.actor_id
                AND proposal.decided_at = entry.at
                AND proposal.subject_id IS NOT DISTINCT FROM entry.subject_id
        )
        ORDER BY entry.id
        """,  # noqa: S608 - words of our own
    ),
    Check(
        38,
        "audit trail guarded",
        """
        SELECT 'the trigger ' || name || ' is missing or disabled'
        FROM (VALUES ('audit_chain'), ('audit_append_only')) AS expected(name)
        WHERE NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgname = name AND tgenabled = 'O'
                AND tgrelid = 'users_auditentry'::regclass
        )
        UNION ALL
        SELECT 'the app may ' || privilege || ' audit entries'
        FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
        WHERE has_table_privilege('krakapp_app', 'users_auditentry', privilege)
        """,
    ),
]
