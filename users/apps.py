"""Who you are."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class UsersConfig(AppConfig):
    name = "users"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what answers new subscribers, what two decide, and who makes the groups."""
        # Models have to be there first.
        from allauth.mfa.webauthn.internal import auth as passkeys  # noqa: PLC0415

        from users import adapters, operations, presenters, queries, receivers  # noqa: F401, PLC0415

        passkeys.get_server = adapters.passkey_server
        presenters.register_notices(presenters.NOTICES)
        for kind in (operations.CHANGE_STAFF, operations.SET_CALL_LIMIT):
            operations.register_kind(kind)
        post_migrate.connect(receivers.grant_permissions, dispatch_uid="users.grant_permissions")
