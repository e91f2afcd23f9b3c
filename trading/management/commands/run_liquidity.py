import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from common import clock, realtime
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
        desk = None
        while not stopping.wait(STEP_S):
            try:
                desk = desk or operations.Desk()
                desk.step(now=clock.now())
                operations.hedge_dealer(now=clock.now())
                realtime.beat("liquidity")
            except (DatabaseError, InterfaceError, DomainError):
                logger.exception("the house stops quoting until its books answer again")
                connection.close()
                desk = None
