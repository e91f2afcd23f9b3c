"""What follows a migration, the end of a session, and an act that guards an account."""

from typing import Any

from allauth.account.signals import password_changed, password_reset
from allauth.usersessions.models import UserSession
from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.signals import user_logged_out
from django.db.models.signals import post_delete
from django.dispatch import receiver

from common import realtime
from users import rules
from users.models import User


def grant_permissions(sender: AppConfig, using: str, **_kwargs: Any) -> None:
    """Let the staff see all of our apps, and do what each app's `staff_permissions` names.

    An app says `staff_permissions = {"Support": ["review_application"]}` in its `apps.py`.
    """
    if not sender.path.startswith(str(settings.BASE_DIR)) or "site-packages" in sender.path:
        return
    create_permissions(sender, verbosity=0, using=using)
    permissions = Permission.objects.using(using).filter(content_type__app_label=sender.label)
    for name in rules.ROLES:
        group, _ = Group.objects.using(using).get_or_create(name=name)
        extra = getattr(sender, "staff_permissions", {}).get(name, [])
        group.permissions.add(
            *permissions.filter(codename__startswith="view_"),
            *permissions.filter(codename__in=extra),
        )


@receiver(post_delete, sender=UserSession)
def hang_up(instance: UserSession, **_kwargs: Any) -> None:
    """Let no socket outlive the session that opened it."""
    realtime.recheck_sockets(instance.user_id)


@receiver([user_logged_out, password_changed, password_reset])
def hang_up_others(user: User | None, **_kwargs: Any) -> None:
    """Let no socket outlive a sign-out, or a password that other sessions began with."""
    if user is not None:
        realtime.recheck_sockets(user.pk)
