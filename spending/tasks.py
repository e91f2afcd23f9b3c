"""The clock of cards."""

from celery import shared_task
from django.conf import settings

from common import clock
from spending import operations


@shared_task
def expire_due() -> None:
    """Give back what merchants never cleared."""
    operations.expire_due(now=clock.now())


@shared_task
def clear_taps() -> None:
    """Let the demo's merchants clear what was tapped."""
    if settings.DEMO:
        operations.clear_taps(now=clock.now())
