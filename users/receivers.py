"""What follows a migration, the end of a session, and an act that guards an account."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress
from allauth.account.signals import email_changed, password_changed, password_reset, password_set
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_reset
from allauth.usersessions.models import UserSession
from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from common import clock, realtime
from users import operations, rules
from users.models import User


def grant_permissions(sender: AppConfig, using: str, **_kwargs: Any) -> None:
    """Give each role the permissions on this app's models that the table says, and no others.

    Rights that somebody has in another way, by a group of another name or by themself, are not in
    the table and go.
    """
    create_permissions(sender, verbosity=0, using=using)
    there = Permission.objects.using(using).filter(content_type__app_label=sender.label)
    for role in rules.ROLES:
        group, _ = Group.objects.using(using).get_or_create(name=role)
        names = [name.split(".") for name in rules.permissions_of(role)]
        listed = there.filter(codename__in=[code for app, code in names if app == sender.label])
        group.permissions.remove(*there.exclude(pk__in=listed))
        group.permissions.add(*listed)
    others = Group.permissions.through.objects.using(using).exclude(group__name__in=rules.ROLES)
    others.filter(permission__in=there).delete()
    User.user_permissions.through.objects.using(using).filter(permission__in=there).delete()


@receiver(post_delete, sender=UserSession)
def hang_up(instance: UserSession, **_kwargs: Any) -> None:
    """Let no socket outlive the session that opened it."""
    realtime.recheck_sockets(instance.user_id)


@receiver([user_logged_out, password_changed, password_reset])
def hang_up_others(user: User | None, **_kwargs: Any) -> None:
    """Let no socket outlive a sign-out, or a password that other sessions began with."""
    if user is not None:
        realtime.recheck_sockets(user.pk)


@receiver(user_logged_in)
def know_device(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Let the answer to a sign-in give the device what it is known by from now on."""
    request.known_to = user  # type: ignore[attr-defined]


@receiver(email_changed)
def note_email(
    user: User,
    from_email_address: EmailAddress | None,
    **_kwargs: Any,
) -> None:
    """Note that a proven address was replaced; the first one only took its place."""
    if from_email_address is not None and from_email_address.verified:
        note(user, "email.changed", email=from_email_address.email)


@receiver([password_changed, password_set])
def note_password(user: User, **_kwargs: Any) -> None:
    """Note a new password."""
    note(user, "password.changed")


@receiver(password_reset)
def note_reset(user: User, **_kwargs: Any) -> None:
    """Open an account that was locked, and note the new password."""
    operations.unlock(user=user, now=clock.now())
    note(user, "password.reset")


@receiver(post_save, sender=Authenticator)
def note_factor(instance: Authenticator, created: bool, **_kwargs: Any) -> None:  # noqa: FBT001
    """Note a second factor; its recovery codes come along."""
    if created and instance.type != Authenticator.Type.RECOVERY_CODES:
        note(instance.user, "factor.added", factor=instance.pk)


@receiver(authenticator_added)
def prove_factor(
    request: HttpRequest, user: User, authenticator: Authenticator, **_kwargs: Any
) -> None:
    """Take an enrolment for a proof: the code or the passkey was given just now."""
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


@receiver(post_delete, sender=Authenticator)
def note_factor_gone(instance: Authenticator, **_kwargs: Any) -> None:
    """Note that a second factor went, with what brings it back; its codes go without a word."""
    tell = instance.type != Authenticator.Type.RECOVERY_CODES
    kept = {"type": instance.type, "data": instance.data}
    note(instance.user, "factor.removed", tell=tell, **kept)


@receiver(authenticator_reset)
def note_codes(user: User, **_kwargs: Any) -> None:
    """Note new recovery codes."""
    note(user, "recovery_codes.made")


def note(user: User, kind: str, *, tell: bool = True, **before: Any) -> None:
    """Note an act that was asked for at a door; a command or an undoing is none."""
    if context.request is None or user.locked_at is not None:
        return
    origin = operations.origin_of(context.request)
    operations.note_security_act(
        user=user, kind=kind, origin=origin, before=before, tell=tell, now=clock.now()
    )
