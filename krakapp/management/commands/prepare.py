import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import Tags
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS

from krakapp import home

CALENDAR_DAYS = 180


class Command(BaseCommand):
    help = (
        "Bring the database, the static files, the listed instruments and in demo mode the "
        "demo's world up to date."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        remember_home()
        prepare_database()
        require_own_database()
        collect_static_files()
        call_command("load_calendar", unless_days=CALENDAR_DAYS)
        call_command("load_instruments", stdout=self.stdout)
        if settings.DEMO:
            call_command("seed_demo", stdout=self.stdout)


def remember_home() -> None:
    """Write down whether this is a demo, so that later commands need not be told."""
    try:
        settings.HOME.mkdir(parents=True, exist_ok=True)
        home.remember(settings.HOME, demo=settings.DEMO)
    except home.HomeMistaken as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(
            f"Cannot write in KRAKAPP_HOME {settings.HOME}: {error.strerror}."
        ) from error


def prepare_database() -> None:
    """Provision and migrate as the owner; who is not the owner can only check."""
    if "owner" in settings.DATABASES:
        call_command("provision_database")
        call_command("migrate", database="owner", interactive=False, verbosity=0)
        return
    try:
        call_command("migrate", database=DEFAULT_DB_ALIAS, check_unapplied=True, verbosity=0)
    except SystemExit:
        raise CommandError(
            "The database lacks migrations: set DATABASE_OWNER_URL for `manage.py prepare`."
        ) from None


def require_own_database() -> None:
    """Refuse to serve real people from a demo's database.

    :raises SystemCheckError: if there are simulated customers outside demo mode
    """
    call_command(
        "check", tags=[Tags.database], databases=[DEFAULT_DB_ALIAS], deploy=True, verbosity=0
    )


def collect_static_files() -> None:
    """Collect and compress, unless nothing changed since the last time."""
    stamp = settings.STATIC_ROOT / "made-from"
    digest = digest_of_static_files()
    if not stamp.exists() or stamp.read_text() != digest:
        call_command(
            "collectstatic", interactive=False, clear=True, ignore_patterns=["redoc"], verbosity=0
        )
        stamp.write_text(digest)


def digest_of_static_files() -> str:
    """Hash what the collected files depend on: ours by content, the packages' by their pins."""
    digest = hashlib.sha256()
    ours = [path for folder in settings.STATICFILES_DIRS for path in Path(folder).rglob("*")]
    pins = [settings.BASE_DIR / name for name in ("requirements.txt", "krakapp/storage.py")]
    for path in sorted(path for path in [*ours, *pins] if path.is_file()):
        digest.update(f"{path.relative_to(settings.BASE_DIR)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
