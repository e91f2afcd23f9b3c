"""Money in and out."""

from django.apps import AppConfig


class PaymentsConfig(AppConfig):
    name = "payments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what two people decide, and how notices are said."""
        # Models have to be there first.
        import users.operations  # noqa: PLC0415
        import users.presenters  # noqa: PLC0415
        from payments import operations, presenters  # noqa: PLC0415

        users.presenters.register_notices(presenters.NOTICES)
        for kind in operations.KINDS:
            users.operations.register_kind(kind)
