"""Who you are."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class UsersConfig(AppConfig):
    name = "users"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what answers new subscribers, and who makes the staff's groups."""
        from users import queries, receivers  # noqa: F401, PLC0415 - models have to be there first

        post_migrate.connect(receivers.grant_permissions, dispatch_uid="users.grant_permissions")
