"""What the clock does for payments."""

from celery import shared_task

from common import clock
from payments import operations


@shared_task
def let_simulated_bank_pay() -> None:
    """Let the demo's bank pay what was announced."""
    operations.let_simulated_bank_pay(now=clock.now())
