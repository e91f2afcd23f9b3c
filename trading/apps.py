"""Orders, matching, settlement."""

from django.apps import AppConfig


class TradingConfig(AppConfig):
    name = "trading"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what answers new subscribers, and what two people decide."""
        # Models have to be there first.
        import users.operations  # noqa: PLC0415
        import users.presenters  # noqa: PLC0415
        from trading import operations, presenters, receivers  # noqa: F401, PLC0415

        users.presenters.register_notices(presenters.NOTICES)
        for kind in operations.KINDS:
            users.operations.register_kind(kind)
