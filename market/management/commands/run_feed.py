"""`manage.py run_feed`: the process that brings reference prices."""

import signal
import time
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand

from common import clock, heartbeats
from market import operations


class Command(BaseCommand):
    """Publish reference prices each second, until told to stop."""

    requires_system_checks = ()
    help = "Publish reference prices each second and keep their candles, until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        """Wait until no other feed runs, then tick on each second.

        Where instruments were listed or taken off the list, it begins anew with those of now.
        """
        stopping = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        while not operations.become_only_feed():
            if stopping.wait(1):
                return
        run = operations.start_feed(now=clock.now())
        pulse = heartbeats.Pulse(heartbeats.FEED)
        while not stopping.wait(1 - time.time() % 1):
            if not run.follows_what_is_listed():
                run.stop(now=clock.now())
                run = operations.start_feed(now=clock.now())
            run.tick(now=clock.now())
            self._use_the_second(run, pulse, stopping)
        run.stop(now=clock.now())

    def _use_the_second(
        self, run: operations.FeedRun, pulse: heartbeats.Pulse, stopping: Event
    ) -> None:
        """Fill in the past for the rest of the second, and prove life where prices came."""
        second, beat = int(time.time()), pulse.beat if run.is_believed else lambda: None
        beat()
        while int(time.time()) == second and run.fill_past():
            beat()
        if int(time.time()) == second and not stopping.wait(0.5):
            beat()
