"""Whether the platform is well, part by part, said in time whatever hangs."""

from concurrent.futures import TimeoutError as Late

import redis

from common import heartbeats, realtime

BEATING = ("engine", "worker", "feed", "liquidity")


def _ask_redis() -> dict[str, bool]:
    """Ask Redis which processes have proved that they live."""
    return {name: realtime.is_alive(name) for name in BEATING}


_processes = heartbeats.Question("processes", _ask_redis)


def examine() -> dict[str, str]:
    """Ask every part: "ok", "failed", or "unknown" where Redis is away and cannot say."""
    asked = _processes.ask()
    parts = {part.name: part for part in heartbeats.look()}
    database = "ok" if parts[heartbeats.DATABASE].answered else "failed"
    try:
        alive = asked.result(0.1)
    except (redis.RedisError, Late):
        return {"database": database, "redis": "failed", **dict.fromkeys(BEATING, "unknown")}
    states = {name: "ok" if beats else "failed" for name, beats in alive.items()}
    return {"database": database, "redis": "ok", **states}
