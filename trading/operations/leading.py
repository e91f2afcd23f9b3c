"""Leading a shard through failures: a command that cannot be written never blocks its book."""

import logging

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection

from common import clock
from trading.operations.markets import list_books, steer_markets
from trading.operations.matching import BATCH, Engine
from trading.operations.snapshots import keep_first_of_version

logger = logging.getLogger(__name__)


class Leader:
    """An engine, and a new one whenever it failed.

    When the database refuses a batch (which only a bug or a planted row can cause), the commands go
    one by one for a while; the one that is refused alone is set aside.
    """

    def __init__(self, shard_name: str) -> None:
        """Lead nothing yet: the first step takes the lead."""
        self.shard_name = shard_name
        self._engine: Engine | None = None
        self._one_by_one = 0
        self._to_blame = False

    def step(self) -> int:
        """Carry out what is in the inbox.

        :returns: how many commands were sequenced
        :raises NotLeader: if another engine leads the shard
        :raises Fenced: if another engine took over
        :raises DatabaseError: if the database is away; the next step begins anew
        """
        try:
            return self._run(self.engine())
        except (IntegrityError, DataError):
            logger.exception("a batch of shard %s cannot be written", self.shard_name)
            self._to_blame = self._one_by_one > 0
            self._one_by_one = BATCH
            self._forget()
            return 0
        except (DatabaseError, InterfaceError):
            self._forget()
            raise

    def engine(self) -> Engine:
        """Give the engine, made anew from the database after a failure.

        :raises NotLeader: if another engine leads the shard
        """
        if self._engine is None:
            self._engine = Engine(self.shard_name)
            list_books(shard_name=self.shard_name)
            keep_first_of_version(shard_id=self._engine.shard_id, now=clock.now())
            steer_markets(now=clock.now())
            logger.info("leading %s, epoch %s", self.shard_name, self._engine.epoch)
        return self._engine

    def _run(self, engine: Engine) -> int:
        if self._to_blame:
            logger.error("command %s is set aside", engine.set_aside())
            self._to_blame = False
            return 1
        if not self._one_by_one:
            return engine.run_batch()
        done = engine.run_batch(limit=1)
        self._one_by_one = self._one_by_one - 1 if done else 0
        return done

    def _forget(self) -> None:
        """Drop the memory, and the connection with its lock."""
        self._engine = None
        connection.close()
