"""The clock of cards."""

from celery import shared_task

from common import clock
from spending import operations


@shared_task
def expire_due() -> None:
    """Give back what merchants never cleared."""
    operations.expire_due(now=clock.now())


@shared_task
def recover_debts() -> None:
    """Take what customers owe from the money that came since."""
    operations.recover_debts(now=clock.now())


@shared_task
def clear_taps() -> None:
    """Let the demo's merchants clear what was tapped."""
    operations.clear_taps(now=clock.now())
