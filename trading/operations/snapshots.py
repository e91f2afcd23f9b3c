"""Snapshots: where a replay may begin, and what lets old commands go."""

import zlib
from datetime import datetime, timedelta

import msgspec
from django.db import connection, transaction

from trading import engine, queries
from trading.models import Command, Shard, Snapshot
from trading.operations import log

KEPT = timedelta(days=30)  # commands stay for so long past the snapshot that covers them
PURGED_AT_ONCE = 10_000


def take_snapshots(*, now: datetime) -> list[Snapshot]:
    """Keep every shard as its last batch left it; the engines go on meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute("SET transaction_timeout = 0")
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            shards = Shard.objects.order_by("id")
            return [keep_snapshot(shard_id=shard.pk, now=now) for shard in shards]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET transaction_timeout")


def keep_snapshot(*, shard_id: int, now: datetime) -> Snapshot:
    """Keep a shard as it stands; nobody writes it meanwhile, or the caller's transaction hides it.

    Once for each sequence and version of the engine.
    """
    state = queries.persisted_state(shard_id)
    snapshot, _ = Snapshot.objects.get_or_create(
        shard_id=shard_id,
        sequence=state.sequence,
        engine_version=engine.version(),
        defaults={
            "state_hash": engine.Engine(state).state_hash(),
            "state": zlib.compress(msgspec.json.encode(state)),
            "taken_at": now,
        },
    )
    return snapshot


def keep_first_of_version(*, shard_id: int, now: datetime) -> None:
    """Keep the shard as another version of the engine left it, before this one goes on."""
    latest = queries.latest_snapshot(shard_id)
    if latest is None or latest.engine_version != engine.version():
        keep_snapshot(shard_id=shard_id, now=now)


def purge_commands(*, now: datetime) -> int:
    """Let commands go that a snapshot of more than 30 days ago covers, oldest first.

    Snapshots before that one go with them: there is nothing left to replay from them.

    :returns: how many commands went
    """
    gone = 0
    for shard in Shard.objects.order_by("id"):
        covering = queries.latest_snapshot(shard.pk, until=now - KEPT)
        if covering is None:
            continue
        while purged := _purge(shard.pk, covering.sequence):
            gone += purged
        Snapshot.objects.filter(shard=shard, sequence__lt=covering.sequence).delete()
    return gone


@transaction.atomic
def _purge(shard_id: int, until: int) -> int:
    """Delete the oldest commands, and say on the shard where its log begins now."""
    oldest = Command.objects.filter(shard=shard_id, sequence__lte=until).order_by("sequence")
    rows = list(oldest.values_list("id", "sequence", "engine_time_us")[:PURGED_AT_ONCE])
    if rows:
        _, sequence, at = rows[-1]
        Command.objects.filter(pk__in=[row[0] for row in rows]).delete()
        Command.objects.filter(
            shard=shard_id, result=Command.WITHDRAWN, order__closed_at__lte=log.moment(at or 0)
        ).delete()
        Shard.objects.filter(pk=shard_id).update(purged_sequence=sequence, purged_us=at)
    return len(rows)
