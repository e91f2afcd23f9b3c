"""What workers do for the market."""

import subprocess
import sys

from celery import shared_task
from django.conf import settings

from common import clock
from market import operations


@shared_task(name="market.tasks.load_calendar")
def load_calendar() -> None:
    """Load the exchange's calendar, in a process of its own that gives its memory back."""
    argv = [sys.executable, str(settings.BASE_DIR / "manage.py"), "load_calendar"]
    subprocess.run(argv, check=True)  # noqa: S603 - fixed arguments


@shared_task(name="market.tasks.forget_prices")
def forget_prices() -> int:
    """Let go of short candles and of the tape of long ago."""
    return operations.forget_prices(now=clock.now())
