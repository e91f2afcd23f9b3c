from typing import Any

from django.core.management.base import BaseCommand

from common import clock
from trading import operations


class Command(BaseCommand):
    help = "Keep every shard's books as they stand: a replay may begin there."

    def handle(self, *args: Any, **options: Any) -> None:
        """Keep them, and say where they stand."""
        for snapshot in operations.take_snapshots(now=clock.now()):
            self.stdout.write(
                f"{snapshot.shard.name}: after command {snapshot.sequence},"
                f" engine {snapshot.engine_version}, books {snapshot.state_hash[:16]}"
            )
