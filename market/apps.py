"""What it is worth just now."""

from django.apps import AppConfig


class MarketConfig(AppConfig):
    name = "market"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what instruments announce."""
        from market import receivers  # noqa: F401, PLC0415 - apps must be loaded first
