"""`manage.py load_instruments`: list the tokenized shares that come with KrakApp."""

from typing import Any

from django.core.management.base import BaseCommand

from instruments import operations


class Command(BaseCommand):
    """Load instruments/xstocks.csv; safe to repeat."""

    help = "List the tokenized shares of instruments/xstocks.csv; safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        """Load them and say how many there are."""
        count = operations.load_instruments()
        self.stdout.write(f"{count} instruments are listed.")
