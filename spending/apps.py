"""Paying with a card."""

from django.apps import AppConfig


class SpendingConfig(AppConfig):
    name = "spending"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what two people decide."""
        # Models have to be there first.
        import users.operations  # noqa: PLC0415
        from spending import operations  # noqa: PLC0415

        for kind in operations.KINDS:
            users.operations.register_kind(kind)
