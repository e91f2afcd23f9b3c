"""Orders, matching, settlement."""

from django.apps import AppConfig


class TradingConfig(AppConfig):
    name = "trading"
    default_auto_field = "django.db.models.BigAutoField"
    staff_permissions = {
        "Support": ["steer_market"],
        "Compliance": ["steer_market", "add_bandrule", "change_bandrule"],
    }

    def ready(self) -> None:
        """Register what answers new subscribers."""
        from trading import receivers  # noqa: F401, PLC0415 - models have to be there first
