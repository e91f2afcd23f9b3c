"""The state of each market, as every web process shows it."""

import logging

from redis import RedisError

from common import realtime
from market import queries

logger = logging.getLogger(__name__)


def publish_state(*, symbol: str, state: str) -> None:
    """Tell every process which orders a market takes now; online is what is not remembered."""
    try:
        if state == "online":
            realtime.connection().hdel(queries.STATE_KEY, symbol)
        else:
            realtime.connection().hset(queries.STATE_KEY, symbol, state)
    except RedisError:
        logger.warning("the state of %s is not shown: Redis is away", symbol)
    realtime.publish_market({"kind": "status", "symbol": symbol, "state": state})
