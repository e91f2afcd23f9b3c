"""What it cost and earned."""

from django.apps import AppConfig


class PortfolioConfig(AppConfig):
    name = "portfolio"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what is settled."""
        from portfolio import receivers  # noqa: F401, PLC0415 - apps must be loaded first
