"""Django's cache on a Redis that may be away.

What is kept there only slows down who tries too often. While Redis is away nobody is slowed down,
and everybody can still sign in.
"""

import logging
from collections.abc import Callable
from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

logger = logging.getLogger(__name__)


class ForgetfulClient(RedisCacheClient):
    """Knows nothing, and keeps nothing, while Redis is away."""

    def add(self, key: Any, value: Any, timeout: Any) -> bool:
        """Keep a value where there is none; without Redis there is none."""
        add = super().add
        return bool(_unless_away(lambda: add(key, value, timeout), otherwise=True))

    def get(self, key: Any, default: Any) -> Any:
        """Give what is kept."""
        get = super().get
        return _unless_away(lambda: get(key, default), otherwise=default)

    def set(self, key: Any, value: Any, timeout: Any) -> None:
        """Keep a value."""
        keep = super().set
        _unless_away(lambda: keep(key, value, timeout), otherwise=None)

    def delete(self, key: Any) -> bool:
        """Let go of a value."""
        delete = super().delete
        return bool(_unless_away(lambda: delete(key), otherwise=False))


class ForgetfulCache(RedisCache):
    """Django's Redis cache with such a client."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        """Take the same settings."""
        super().__init__(server, params)
        self._class = ForgetfulClient


def _unless_away(act: Callable[[], Any], *, otherwise: Any) -> Any:
    try:
        return act()
    except redis.RedisError as trouble:
        logger.warning("the cache is away: %s", trouble)
        return otherwise
