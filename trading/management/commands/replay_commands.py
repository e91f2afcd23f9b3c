from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from trading.models import Shard
from trading.queries import Replay

SHOWN = 20


class Command(BaseCommand):
    help = "Run every shard's command log again in memory and compare; exit 1 where it differs."

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare in one snapshot, so that the engine may go on meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute("SET transaction_timeout = 0")
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            differing = [shard for shard in Shard.objects.order_by("id") if self.differs(shard)]
        if differing:
            raise SystemExit(1)

    def differs(self, shard: Shard) -> bool:
        """Replay a shard and say what came of it."""
        replay = Replay(shard)
        replay.run()
        differences = list(islice(replay.differences(), SHOWN))
        for difference in differences:
            self.stdout.write(difference)
        if not differences:
            self.stdout.write(
                f"{shard.name}: {replay.commands} commands and {len(replay.fills)} trades replayed"
                f" alike, books {replay.core.state_hash()[:16]}"
            )
        return bool(differences)
