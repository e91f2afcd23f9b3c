from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from common import clock
from krakapp import staff


class Command(BaseCommand):
    help = "Print the code that an authenticator app of the demo's staff shows now."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="whose: sam@demo.test")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("The demo's staff exist in demo mode only (KRAKAPP_DEMO=1).")
        self.stdout.write(staff.code_at(options["email"], clock.now()))
