"""Leading a shard through failures: a command that cannot be carried out never blocks its book."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import InterfaceError, InternalError, OperationalError, connection

from common import clock
from trading.models import Shard
from trading.operations.markets import list_books, steer_markets
from trading.operations.matching import BATCH, SILENCE_S, Engine, Fenced, NotLeader
from trading.operations.snapshots import keep_first_of_version

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError, InternalError)


class Leader:
    """An engine, and a new one whenever it failed.

    When a batch cannot be matched or written (which only a bug or a planted row can cause), the
    commands go one by one for a while; the one that fails alone is set aside.
    """

    def __init__(self, shard_name: str, *, silence_s: float = SILENCE_S) -> None:
        """Lead nothing yet: the first step takes the lead.

        :param silence_s: how long an engine may say nothing before another may lead
        """
        self.shard_name = shard_name
        self._silence_s = silence_s
        self._engine: Engine | None = None
        self._epoch: int | None = None
        self._one_by_one = 0
        self._to_blame = False

    def step(self) -> int:
        """Carry out what is in the inbox.

        :returns: how many commands were sequenced
        :raises NotLeader: if another engine leads the shard
        :raises Fenced: if another engine took over
        :raises DatabaseError: if the database is away; the next step begins anew
        """
        with self._forgetting():
            engine = self.engine()
            return self._set_aside(engine) if self._to_blame else self._run(engine)

    def tell_marks(self, *, now: datetime) -> int:
        """Put the reference prices that somebody waits for into the inbox; at most once a second.

        :raises DomainError: as `step` does
        """
        with self._forgetting():
            return self.engine().tell_marks(now=now)

    def engine(self) -> Engine:
        """Give the engine, made anew from the database after a failure.

        :raises NotLeader: if another engine leads the shard
        :raises Fenced: if it does since this one led
        """
        if self._engine is None:
            engine = self._take_lead()
            self._epoch = engine.epoch
            list_books(shard_name=self.shard_name)
            keep_first_of_version(shard_id=engine.shard_id, now=clock.now())
            steer_markets(now=clock.now())
            logger.info("leading %s, epoch %s", self.shard_name, engine.epoch)
            self._engine = engine
        return self._engine

    def _take_lead(self) -> Engine:
        try:
            return Engine(self.shard_name, silence_s=self._silence_s)
        except NotLeader:
            led = self._epoch
            if led is not None and Shard.objects.get(name=self.shard_name).epoch > led:
                raise Fenced from None
            raise

    def _run(self, engine: Engine) -> int:
        """Carry out a batch, or one command while one of them is suspected."""
        try:
            done = engine.run_batch(limit=1 if self._one_by_one else BATCH)
        except (Fenced, *AWAY):
            raise
        except Exception:
            logger.exception("a batch of shard %s fails", self.shard_name)
            self._to_blame = self._one_by_one > 0
            self._one_by_one = BATCH
            self._forget()
            return 0
        if self._one_by_one:
            self._one_by_one = self._one_by_one - 1 if done else 0
        return done

    def _set_aside(self, engine: Engine) -> int:
        """Set the command aside that failed alone; what fails even here is no command's fault."""
        logger.error("command %s is set aside", engine.set_aside())
        self._to_blame = False
        return 1

    @contextmanager
    def _forgetting(self) -> Iterator[None]:
        """Begin anew after the database was away."""
        try:
            yield
        except AWAY:
            self._forget()
            raise

    def _forget(self) -> None:
        """Drop the memory, and the connection with its lock."""
        self._engine = None
        connection.close()
