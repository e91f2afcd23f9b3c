"""What the clock does for payments."""

from celery import shared_task

from common import clock
from payments import operations


@shared_task
def let_simulated_bank_pay() -> None:
    """Let the demo's bank pay what was announced."""
    operations.let_simulated_bank_pay(now=clock.now())


@shared_task
def import_statements() -> None:
    """Read what the bank stated of the days before today, and look again at what did not match."""
    operations.import_statements(now=clock.now())
