"""The state of each market, as every web process shows it."""

import logging
from typing import Any

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


def keep_states(*, states: dict[str, str]) -> None:
    """Leave the states of all markets, by symbol, where every process looks them up."""
    restricted: dict[Any, Any] = {
        symbol: state for symbol, state in states.items() if state != "online"
    }
    try:
        pipe = realtime.connection().pipeline()
        pipe.delete(queries.STATE_KEY)
        if restricted:
            pipe.hset(queries.STATE_KEY, mapping=restricted)
        pipe.execute()
    except RedisError:
        logger.warning("the states of the markets are not shown: Redis is away")
