"""What follows a migration, the end of a session, and an act that guards an account."""

from typing import Any

from allauth.account.signals import password_changed, password_reset
from allauth.usersessions.models import UserSession
from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete
from django.dispatch import receiver

from common import realtime
from users import rules
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
