from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from common import clock
from krakapp import load
from users.models import User


class Command(BaseCommand):
    help = "Fill a demo with customers and a year of trades, as many as one likes."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--customers", type=int, default=10_000)
        parser.add_argument("--trades", type=int, default=1_000_000)

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("A load is made in demo mode only (KRAKAPP_DEMO=1).")
        if load.OWNER not in settings.DATABASES:
            raise CommandError("Set DATABASE_OWNER_URL: only the owner can load that much.")
        if User.objects.filter(email=load.NAME.format(1)).exists():
            raise CommandError("There is a load already; begin with an empty KRAKAPP_HOME.")
        wanted = {name: options[name] for name in ("customers", "trades")}
        for said in load.load(**wanted, now=clock.now()):
            self.stdout.write(f"\r{said}", ending="")
            self.stdout.flush()
        self.stdout.write("")
