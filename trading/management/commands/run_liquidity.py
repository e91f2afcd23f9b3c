import logging
import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from common import clock, heartbeats, realtime
from common.errors import DomainError
from trading import operations

logger = logging.getLogger(__name__)

STEP_S = 1.0


class Command(BaseCommand):
    """Keep the house's standing quotes around the reference prices, and hedge its dealer."""

    help = "Run the house's liquidity on every book."
    requires_system_checks = ()  # `prepare` made them

    def handle(self, *args: Any, **options: Any) -> None:
        """Step once a second until told to stop; after a failure begin knowing nothing."""
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        desk, next_step = None, 0.0
        pulse = heartbeats.Pulse(heartbeats.LIQUIDITY)
        while not stopping.wait(heartbeats.BEAT_S):
            try:
                if desk is not None:  # the last step went well
                    pulse.beat()
                if time.monotonic() < next_step:
                    continue
                next_step = time.monotonic() + STEP_S
                desk = desk or operations.Desk()
                desk.step(now=clock.now())
                operations.hedge_dealer(now=clock.now())
                realtime.beat("liquidity")
            except (DatabaseError, InterfaceError, DomainError):
                logger.exception("the house stops quoting until its books answer again")
                connection.close()
                desk = None
