from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from krakapp import backup
from krakapp.embedded import CannotStart


class Command(BaseCommand):
    help = "Back the running database up into BACKUP_DIR, and verify the copy."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            taken = backup.take(settings.BACKUP_DIR, keep=settings.BACKUPS_KEPT)
        except (backup.BackupFailed, CannotStart, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{taken.path}")
