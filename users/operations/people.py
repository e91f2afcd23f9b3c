"""What is written about people: the audit trail, and what the app has to tell them."""

from datetime import datetime
from typing import Any

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

from common import realtime
from common.errors import DomainError
from common.times import zone_of
from users.models import AuditEntry, Notice, User
from users.signals import access_changed


class OwnAccess(DomainError):
    """Nobody takes or gives their own access."""

    status = 403


class SimulatedOutsideDemo(DomainError):
    """Simulated customers exist in demo mode only."""

    status = 403
    field = "simulated"


class TimeZoneUnknown(DomainError):
    """There is no time zone of this name; take one like Europe/Berlin."""

    status = 400
    field = "time_zone"


@transaction.atomic
def record(
    *,
    action: str,
    actor: User | None,
    subject: User | None,
    at: datetime,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Write who did what to whom, and why, in the transaction of the deed itself.

    The database adds the hash that chains the entry to the one before, under a lock that lasts
    until the transaction ends: call this last.

    :param action: what was done, as `noun.participle`: "application.approved"
    :param actor: who did it; None for the platform itself
    :param subject: whose case or money it was
    :param detail: facts worth keeping, JSON-ready
    """
    return AuditEntry.objects.create(
        at=at, actor=actor, subject=subject, action=action, reason=reason, detail=detail or {}
    )


@transaction.atomic
def create_person(
    *,
    email: str,
    password: str | None,
    group: str = "",
    is_superuser: bool = False,
    simulated: bool = False,
    now: datetime,
) -> User:
    """Make somebody whose e-mail address needs no proof: staff, or a person of the demo.

    Safe to repeat: who exists already stays as they are.

    :param password: None for who never signs in
    :param group: the group of the staff they join: Support, Compliance; customers join none
    :param simulated: a customer whom the demo plays
    :raises SimulatedOutsideDemo: if such a one is asked for where people are real
    """
    if simulated and not settings.DEMO:
        raise SimulatedOutsideDemo
    known = User.objects.filter(email=email).first()
    if known:
        return known
    user = User.objects.create_user(
        email,
        password,
        is_staff=bool(group) or is_superuser,
        is_superuser=is_superuser,
        simulated=simulated,
        date_joined=now,
    )
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    if group:
        user.groups.add(Group.objects.get(name=group))
    record(action="user.created", actor=None, subject=user, at=now, detail={"group": group})
    return user


def mark_read(*, user: User, now: datetime) -> int:
    """Mark all of a customer's notices as read; say how many were new."""
    return Notice.objects.filter(user=user, read_at=None).update(read_at=now)


@transaction.atomic
def deactivate(*, user: User, actor: User, reason: str, now: datetime) -> User:
    """Shut somebody out of every door at once; their sessions and tokens end for good.

    :param reason: why, for the audit trail
    :raises OwnAccess: if it is the actor's own access
    """
    return _set_access(user, actor, reason, now, open_=False)


@transaction.atomic
def reactivate(*, user: User, actor: User, reason: str, now: datetime) -> User:
    """Let somebody sign in again.

    :param reason: why, for the audit trail
    :raises OwnAccess: if it is the actor's own access
    """
    return _set_access(user, actor, reason, now, open_=True)


def _set_access(user: User, actor: User, reason: str, now: datetime, *, open_: bool) -> User:
    if user.pk == actor.pk:
        raise OwnAccess
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if locked.is_active is open_:
        return locked
    locked.is_active = open_
    locked.save(update_fields=["is_active"])
    for session in UserSession.objects.filter(user=locked):
        session.end()
    realtime.recheck_sockets(locked.pk)  # also of apps, whose sessions no list of devices has
    access_changed.send(sender=User, user=locked)
    record(
        action="user.reactivated" if open_ else "user.deactivated",
        actor=actor,
        subject=locked,
        at=now,
        reason=reason,
    )
    return locked


def learn_preferences(*, user: User, number_format: str, time_zone: str) -> None:
    """Keep what a browser tells of its owner, where they have not chosen and none told before."""
    told = {"number_format": number_format, "time_zone": time_zone}
    new = {name: value for name, value in told.items() if not getattr(user, name)}
    if new:
        empty = dict.fromkeys(new, "")
        User.objects.filter(pk=user.pk, **empty).update(**new)
        for name, value in new.items():
            setattr(user, name, value)


def choose_preferences(*, user: User, number_format: str, time_zone: str) -> None:
    """Let a customer choose how numbers are written, and the clock of what they read.

    :param number_format: a key of `common.numbers.FORMATS`
    :raises TimeZoneUnknown: if nobody keeps a clock of this name
    """
    if time_zone and zone_of(time_zone) is None:
        raise TimeZoneUnknown
    user.number_format, user.time_zone = number_format, time_zone
    user.save(update_fields=["number_format", "time_zone"])
