from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from common import clock
from market import operations, queries


class Command(BaseCommand):
    """Write the calendar of the shares' own exchange into the database."""

    help = "Load the hours of New York's exchange for the year to come, holidays and all."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Let the caller be content with what is there."""
        parser.add_argument("--unless-days", type=int, default=None)

    def handle(self, *args: Any, **options: Any) -> None:
        """Load it, unless so many days ahead are known already."""
        enough, now = options["unless_days"], clock.now()
        if enough is None or not queries.knows_exchange_day(now + timedelta(days=enough)):
            operations.load_calendar(now=now)
