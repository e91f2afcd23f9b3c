"""The platform's own chores."""

from celery import shared_task

from common import realtime


@shared_task
def beat_worker() -> None:
    """Prove that a worker takes tasks, and that beat sends them."""
    realtime.beat("worker")
