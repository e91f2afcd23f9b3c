from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.dateparse import parse_datetime

from krakapp import backup
from krakapp.embedded import CannotStart


def moment(text: str) -> datetime:
    """Read a moment; one without a zone is UTC.

    :raises ValueError: if it is none
    """
    at = parse_datetime(text)
    if at is None:
        raise ValueError
    return at if at.tzinfo else at.replace(tzinfo=UTC)


class Command(BaseCommand):
    help = "Restore the database from BACKUP_DIR, prove its books, and set what there was aside."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--at", type=moment, help="a moment like 2026-12-01T15:30:00+00:00")
        parser.add_argument("--backup", default="", help="the name of the backup to begin with")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for said in backup.restore(
                settings.BACKUP_DIR, at=options["at"], name=options["backup"]
            ):
                self.stdout.write(said)
                self.stdout.flush()
        except (backup.BackupFailed, CannotStart, OSError) as error:
            raise CommandError(str(error)) from error
