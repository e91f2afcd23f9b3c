"""What workers do for trading."""

import time

from celery import shared_task

from common import clock, heartbeats, realtime
from trading import operations

SETTLE = "trading.tasks.settle"
PULSE = heartbeats.Pulse(heartbeats.SETTLER)
SPELL_S = 1.0  # then the worker may take something else


@shared_task(name=SETTLE)
def settle() -> int:
    """Settle what is due, and what becomes due meanwhile: to be sent again would take as long."""
    until = time.monotonic() + SPELL_S
    done = operations.settle_due(now=clock.now())
    PULSE.beat()
    while time.monotonic() < until and realtime.wanted_again(SETTLE):
        done += operations.settle_due(now=clock.now())
        PULSE.beat()
    return done


@shared_task(name="trading.tasks.cancel_orders_of_barred")
def cancel_orders_of_barred() -> int:
    """Take off what customers may trade no longer."""
    return operations.cancel_orders_of_barred(now=clock.now())


@shared_task(name="trading.tasks.roll_up_volume")
def roll_up_volume() -> int:
    """Count what customers traded, day by day."""
    return operations.roll_up_volume(now=clock.now())


@shared_task(name="trading.tasks.steer_markets")
def steer_markets() -> int:
    """Tell the engines what sessions and price bands have become."""
    return operations.steer_markets(now=clock.now())


@shared_task(name="trading.tasks.carry_out_actions")
def carry_out_actions() -> int:
    """Move the corporate actions on that are due."""
    return operations.carry_out_actions(now=clock.now())


@shared_task(name="trading.tasks.take_snapshots")
def take_snapshots() -> int:
    """Keep every shard as it stands."""
    return len(operations.take_snapshots(now=clock.now()))


@shared_task(name="trading.tasks.purge_commands")
def purge_commands() -> int:
    """Let commands go that an old snapshot covers."""
    return operations.purge_commands(now=clock.now())


@shared_task(name="trading.tasks.tell_of_orders")
def tell_of_orders() -> int:
    """Tell customers what became of their orders, and of shares that they hold."""
    now = clock.now()
    return operations.tell_of_orders(now=now) + operations.tell_of_actions(now=now)
