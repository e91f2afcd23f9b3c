"""The groups of the staff, made and kept up to date after each migration."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

from users import rules


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
