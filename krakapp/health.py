"""Whether the platform is well, part by part."""

import redis
from django.db import DatabaseError, connection

from common import realtime

BEATING = ("engine", "worker", "feed", "liquidity")


def examine() -> dict[str, str]:
    """Ask every part: "ok", "failed", or "unknown" where Redis is away and cannot say."""
    return {"database": _database(), **_redis_and_processes()}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "failed"
    return "ok"


def _redis_and_processes() -> dict[str, str]:
    try:
        return {
            "redis": "ok" if realtime.connection().ping() else "failed",
            **{name: "ok" if realtime.is_alive(name) else "failed" for name in BEATING},
        }
    except redis.RedisError:
        return {"redis": "failed", **dict.fromkeys(BEATING, "unknown")}
