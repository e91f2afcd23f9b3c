"""Acts on how an account is entered: noted, told to the owner by mail, and undone once.

To guard something new, an app adds a line to `users.rules.SECURITY_ACTS`, asks for a proof at its
doors (`users.queries.require_fresh`, or `@reauthentication_required` on a page), calls
`note_security_act` in the transaction of the deed, and registers with `@undoes(kind)` how the deed
is taken back. What lets value leave asks `users.queries.require_value_free`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.core.internal.httpkit import get_client_ip
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.db import transaction
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from common import realtime
from common.errors import DomainError
from users import queries, rules
from users.models import SecurityEvent, User
from users.operations.notices import notify
from users.operations.people import record

SALT = "users.security_undo"
Undo = Callable[[SecurityEvent], None]
_undo: dict[str, Undo] = {}


class UndoInvalid(DomainError):
    """This link is not one of ours, or too old. Reset your password, and write to support."""

    status = 404


class UndoneAlready(DomainError):
    """This was undone already. Reset your password to open the account again."""

    status = 409


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an act came from, as its mail says."""

    ip: str | None = None
    user_agent: str = ""


def origin_of(request: HttpRequest) -> Origin:
    """Say where a request came from."""
    address = get_client_ip(request)
    return Origin(address, request.headers.get("User-Agent", ""))


def undoes(kind: str) -> Callable[[Undo], Undo]:
    """Register how an act of a kind is taken back, with the user's row locked."""

    def register(undo: Undo) -> Undo:
        _undo[kind] = undo
        return undo

    return register


@transaction.atomic
def note_security_act(
    *,
    user: User,
    kind: str,
    origin: Origin,
    before: dict[str, Any] | None = None,
    tell: bool = True,
    now: datetime,
) -> SecurityEvent:
    """Write down an act, hold value for a while, and tell the owner at every address of late.

    Call it in the transaction of the act, after the act: the mail goes to the addresses that are
    the owner's now, and to those that were replaced while an undoing is still possible.

    :param kind: a line of `users.rules.SECURITY_ACTS`
    :param before: what undoing needs, JSON-ready
    :param tell: say no where another act of the same moment says it
    """
    act = rules.SECURITY_ACTS[kind]
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    event = SecurityEvent.objects.create(
        user=user,
        kind=kind,
        at=now,
        ip=origin.ip,
        user_agent=origin.user_agent[:200],
        before=before or {},
    )
    if act.holds_value:
        user.value_held_until = now + settings.SECURITY_HOLD
        User.objects.filter(pk=user.pk).update(value_held_until=user.value_held_until)
    if tell:
        _tell(event, act)
    detail = {"event": str(event.uid), "ip": origin.ip}
    record(action=kind, actor=user, subject=user, at=now, detail=detail)
    return event


def undo_security_act(*, token: str, now: datetime) -> SecurityEvent:
    """Take back an act and all that came after it, end every session, and lock the account.

    The owner opens it again by resetting the password at the address that is restored here. The
    link works once: `undone_at` is set with the user's row locked.

    :raises UndoInvalid: for a link that is not ours or too old
    :raises UndoneAlready: if it was used before
    """
    event = event_of(token)
    with transaction.atomic():
        user = User.objects.select_for_update().get(pk=event.user_id)
        event.refresh_from_db()
        if event.undone_at is not None:
            raise UndoneAlready
        addresses = queries.addresses_to_tell(user, now=now)
        _lock(user, now)
        since = SecurityEvent.objects.filter(user=user, id__gte=event.pk, undone_at=None)
        for one in since.order_by("-id"):
            one.user = user
            _undo.get(one.kind, _nothing)(one)
        since.update(undone_at=now)
        _say_locked(event, addresses)
        detail = {"event": str(event.uid), "kind": event.kind, "open": user.is_active}
        record(action="security.undone", actor=None, subject=user, at=now, detail=detail)
    event.undone_at = now
    return event


def event_of(token: str) -> SecurityEvent:
    """Find the act that a link is about.

    :raises UndoInvalid: for a link that is not ours or too old
    """
    try:
        uid = signing.loads(token, salt=SALT, max_age=settings.SECURITY_UNDO)
    except signing.BadSignature as error:
        raise UndoInvalid from error
    event = SecurityEvent.objects.filter(uid=uid).select_related("user").first()
    if event is None:
        raise UndoInvalid
    return event


def enroll_app(*, user: User, key: str) -> None:
    """Give somebody an app's code as their second step, unless they have one; for the demo."""
    if not Authenticator.objects.filter(user=user).exists():
        TOTP.activate(user, key)


def unlock(*, user: User, now: datetime) -> None:
    """Open a locked account again: its owner has just chosen a new password."""
    if User.objects.filter(pk=user.pk, locked_at__isnull=False).update(locked_at=None):
        user.locked_at = None
        record(action="security.unlocked", actor=user, subject=user, at=now)


def _tell(event: SecurityEvent, act: rules.SecurityAct) -> None:
    token = signing.dumps(str(event.uid), salt=SALT)
    link = settings.SITE_URL + reverse("users:security_undo", args=[token])
    page = {"event": event, "act": act, "link": link, "days": settings.SECURITY_UNDO.days}
    with timezone.override(queries.zone_of(event.user)):
        text = render_to_string("users/email/security_act.txt", page)
    for address in queries.addresses_to_tell(event.user, now=event.at):
        send_mail(act.title, text, None, [address])
    notify(
        user=event.user,
        kind=f"security.{event.kind}",
        url=reverse("users:settings"),
        now=event.at,
    )


def _say_locked(event: SecurityEvent, addresses: Sequence[str]) -> None:
    link = settings.SITE_URL + reverse("account_reset_password")
    page = {"event": event, "act": rules.SECURITY_ACTS[event.kind], "link": link}
    text = render_to_string("users/email/security_undone.txt", page)
    for address in addresses:
        send_mail("Your account is locked", text, None, [address])


def _lock(user: User, now: datetime) -> None:
    """Let nobody in: no password fits, and the sessions that are open end."""
    user.locked_at = now
    user.set_unusable_password()
    user.save(update_fields=["locked_at", "password"])
    for session in UserSession.objects.filter(user=user):
        session.end()
    realtime.recheck_sockets(user.pk)


def _nothing(_event: SecurityEvent) -> None:
    """Nothing is left to take back once the account is locked."""


@undoes("email.changed")
def _restore_email(event: SecurityEvent) -> None:
    """Give the account the address it had.

    Where another account has proven it meanwhile, nobody resets this one's password: support helps.
    """
    user, old = event.user, str(event.before["email"])
    if EmailAddress.objects.exclude(user=user).filter(email=old, verified=True).exists():
        user.is_active = False
        user.save(update_fields=["is_active"])
        return
    # Somebody may have signed up with it, and never proved it.
    for squatter in User.objects.exclude(pk=user.pk).filter(email=old):
        EmailAddress.objects.filter(user=squatter).delete()
        squatter.email = f"{squatter.uid}@unproven.invalid"
        squatter.is_active = False
        squatter.save(update_fields=["email", "is_active"])
    EmailAddress.objects.filter(user=user).delete()
    EmailAddress.objects.create(user=user, email=old, verified=True, primary=True)
    user.email = old
    user.save(update_fields=["email"])


@undoes("factor.added")
def _remove_factor(event: SecurityEvent) -> None:
    """Take the added second factor away, and recovery codes that would be left alone."""
    factors = Authenticator.objects.filter(user=event.user)
    factors.filter(pk=event.before["factor"]).delete()
    if not factors.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
        factors.delete()


@undoes("factor.removed")
def _restore_factor(event: SecurityEvent) -> None:
    """Give the removed second factor back."""
    Authenticator.objects.create(
        user=event.user, type=event.before["type"], data=event.before["data"]
    )


@undoes("recovery_codes.made")
def _forget_codes(event: SecurityEvent) -> None:
    """Let the new recovery codes open nothing."""
    codes = Authenticator.Type.RECOVERY_CODES
    Authenticator.objects.filter(user=event.user, type=codes).delete()
