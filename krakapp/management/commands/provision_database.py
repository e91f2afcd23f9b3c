from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from krakapp import database


class Command(BaseCommand):
    """Run once before the first `migrate --database owner`, and again whenever in doubt."""

    help = "Create the database and the app's role, and give the role its rights (as the owner)."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Provision the database that the settings name."""
        if "owner" not in settings.DATABASES:
            raise CommandError("Set DATABASE_OWNER_URL: only the owner can do this.")
        database.provision(owner=settings.DATABASES["owner"], app=settings.DATABASES["default"])
