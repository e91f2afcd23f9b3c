from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction

from trading import engine
from trading.models import Shard, Snapshot
from trading.queries import LogPurged, Replay, latest_snapshot

SHOWN = 20


class Command(BaseCommand):
    """Run the log again and compare: trades, orders, queue positions, the hash of the state."""

    help = "Run every shard's command log again in memory and compare; exit 1 where it differs."

    def add_arguments(self, parser: CommandParser) -> None:
        """Let the operator go further back than the last snapshot."""
        parser.add_argument(
            "--since",
            type=int,
            metavar="SEQUENCE",
            help="begin at the last snapshot up to this command; 0 is the whole log",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare in one snapshot of the database, so that the engine may go on meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute("SET transaction_timeout = 0")
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            shards = Shard.objects.order_by("id")
            differing = [shard for shard in shards if self.differs(shard, options["since"])]
        if differing:
            raise SystemExit(1)

    def differs(self, shard: Shard, since: int | None) -> bool:
        """Replay a shard and say what came of it."""
        snapshot = latest_snapshot(shard.pk, sequence=since) if since != 0 else None
        try:
            replay = Replay(shard, snapshot)
        except LogPurged as refusal:
            raise CommandError(refusal.detail) from None
        self.warn_of_version(snapshot)
        replay.run()
        differences = list(islice(replay.differences(), SHOWN))
        for difference in differences:
            self.stdout.write(difference)
        if not differences:
            self.stdout.write(
                f"{shard.name}: {replay.commands} commands since {replay.since} and"
                f" {len(replay.fills)} trades replayed alike, books {replay.core.state_hash()[:16]}"
            )
        return bool(differences)

    def warn_of_version(self, snapshot: Snapshot | None) -> None:
        """Say where another engine ran: it may have matched otherwise."""
        if snapshot is not None and snapshot.engine_version != engine.version():
            self.stderr.write(
                f"The snapshot is of engine {snapshot.engine_version}; this is {engine.version()}."
            )
