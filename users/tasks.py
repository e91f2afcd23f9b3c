"""What workers do about people."""

from celery import shared_task

from common import clock
from users import operations


@shared_task(name="users.tasks.expire_proposals")
def expire_proposals() -> int:
    """End the proposals that nobody decided on in time."""
    return operations.expire_proposals(now=clock.now())
