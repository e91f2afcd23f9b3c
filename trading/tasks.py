"""What workers do for trading."""

from celery import shared_task

from common import clock
from trading import operations


@shared_task(name="trading.tasks.settle")
def settle() -> int:
    """Settle what is due."""
    return operations.settle_due(now=clock.now())


@shared_task(name="trading.tasks.roll_up_volume")
def roll_up_volume() -> int:
    """Count what customers traded, day by day."""
    return operations.roll_up_volume(now=clock.now())


@shared_task(name="trading.tasks.steer_markets")
def steer_markets() -> int:
    """Tell the engines what sessions and price bands have become."""
    return operations.steer_markets(now=clock.now())


@shared_task(name="trading.tasks.take_snapshots")
def take_snapshots() -> int:
    """Keep every shard as it stands."""
    return len(operations.take_snapshots(now=clock.now()))


@shared_task(name="trading.tasks.purge_commands")
def purge_commands() -> int:
    """Let commands go that an old snapshot covers."""
    return operations.purge_commands(now=clock.now())
