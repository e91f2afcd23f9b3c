"""The roles of the staff, made to be what `users.rules` says after each migration."""

from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

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
