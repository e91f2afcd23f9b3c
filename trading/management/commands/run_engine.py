import logging
import signal
import time
from types import FrameType
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, InterfaceError

from common import clock, heartbeats, patience, realtime
from trading import operations

logger = logging.getLogger(__name__)

LOOK_S = 0.2  # the inbox is read this often even if no nudge comes
STANDBY_S = 0.5
MARKS_S = 1.0
BEAT_S = 5.0
PATIENCE_S = 30.0  # of one step; then the database hangs, and the engine begins anew
REPUBLISH_S = 30.0  # Redis may have been emptied


class Command(BaseCommand):
    """Lead a shard's books; while another process leads, stand by."""

    help = "Run the matching engine of a shard."
    requires_system_checks = ()  # `prepare` made them

    def add_arguments(self, parser: CommandParser) -> None:
        """Let the operator name the shard, and say how long a leader may hang."""
        parser.add_argument("--shard", default="main")
        parser.add_argument(
            "--silence",
            type=float,
            default=operations.SILENCE_S,
            metavar="SECONDS",
            help="how long a leader may say nothing before its standby leads",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Lead, fail, begin anew, until told to stop."""
        self.stopping = False
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        leader = operations.Leader(options["shard"], silence_s=options["silence"])
        while not self.stopping:
            try:
                self._lead(leader)
            except operations.NotLeader:
                time.sleep(STANDBY_S)
            except operations.Fenced:
                raise SystemExit("another engine leads this shard now") from None
            except (DatabaseError, InterfaceError):
                logger.exception("the engine lost its database and begins anew")
                time.sleep(STANDBY_S)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _lead(self, leader: operations.Leader) -> None:
        next_beat = next_publication = next_marks = 0.0
        pulse = heartbeats.Pulse(f"{heartbeats.ENGINE}:{leader.shard_name}")
        while not self.stopping:
            now = time.monotonic()
            if now >= next_publication:
                leader.engine().publish_all()
                next_publication = now + REPUBLISH_S
            if now >= next_marks:
                leader.tell_marks(now=clock.now())
                next_marks = now + MARKS_S
            with patience.within(PATIENCE_S):
                done = leader.step()
            pulse.beat()  # only after a step: an engine that cannot write does not live
            if now >= next_beat:
                realtime.beat("engine")
                next_beat = now + BEAT_S
            if not done:
                self._wait()

    def _wait(self) -> None:
        try:
            realtime.wait_for_nudge("engine", timeout_s=LOOK_S)
        except redis.RedisError:
            time.sleep(LOOK_S)
