"""Who owns what."""

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "ledger"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register what answers new subscribers."""
        from ledger import receivers  # noqa: F401, PLC0415 - models have to be there first
