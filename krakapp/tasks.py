"""The platform's own chores."""

from datetime import timedelta
from random import Random
from typing import Any

from celery import Task, shared_task
from celery.signals import task_postrun, task_prerun
from django.conf import settings

from common import clock, database, realtime
from common.models import FirstAnswer
from krakapp.demo import customers

KEPT = timedelta(hours=24)


@task_prerun.connect
def say_begun(task: "Task[Any, Any]", **_facts: Any) -> None:
    """Let what becomes due from now on be asked for again."""
    realtime.begun(task.name)


@task_postrun.connect
def say_ended(task: "Task[Any, Any]", **_facts: Any) -> None:
    """Let the next run come, done or failed."""
    realtime.ended(task.name)


@shared_task
def beat_worker() -> None:
    """Prove that a worker takes tasks, and that beat sends them."""
    realtime.beat("worker")


@shared_task
def let_simulated_customers_trade() -> str:
    """Let a simulated customer do something, which the seed and the second decide."""
    now = clock.now()
    random = Random(f"{settings.SIMULATION_SEED}:{int(now.timestamp())}")  # noqa: S311 - no secret
    return customers.live(now=now, random=random)


@shared_task
def forget_first_answers() -> int:
    """Let go of the answers kept for repeated requests, once they are a day old."""
    table = FirstAnswer._meta.db_table  # noqa: SLF001 - Django's own, documented
    return database.delete_in_batches(table, "t.created_at < %s", [clock.now() - KEPT])
