from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from common.invariants import Break, Check, find_breaks
from krakapp import database

APPS = ("ledger", "instruments", "trading", "portfolio", "spending", "payments", "users", "market")


class Command(BaseCommand):
    help = "Check what docs/invariants.md promises, in one snapshot; exit 1 and a list on a break."
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        checks = all_checks()
        breaks = audit(checks)
        for found in breaks:
            self.stdout.write(f"{found.check}: {found.detail}")
        if breaks:
            self.stderr.write(self.style.ERROR(f"books are broken: {len(breaks)} breaks"))
            raise SystemExit(1)
        self.stdout.write(f"books are clean: {len(checks)} checks")


def all_checks() -> list[Check]:
    """Gather the checks of every app, in the order of their numbers."""
    modules = [import_module(f"{app}.queries") for app in APPS if find_spec(f"{app}.queries")]
    checks = [check for module in modules for check in getattr(module, "CHECKS", [])]
    checks.append(database.CHECK)
    return sorted(checks, key=lambda check: check.number)


def audit(checks: list[Check]) -> list[Break]:
    """Run the checks in one snapshot that sees all of a moment, and nothing of what comes after."""
    with connection.cursor() as cursor:
        # An audit of large books takes longer than the app's transactions may.
        cursor.execute("SET transaction_timeout = 0")
        try:
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                return list(find_breaks(checks))
        finally:
            cursor.execute("RESET transaction_timeout")
