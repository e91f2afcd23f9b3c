"""A cache that keeps nothing while Redis is away, and fails nobody."""

import pytest
from django.core.cache import cache

from krakapp.cache import ForgetfulCache


@pytest.fixture
def nowhere() -> ForgetfulCache:
    return ForgetfulCache("unix:///nowhere", {})


class TestForgetfulCache:
    def test_keeps_what_it_is_given(self, servers: None) -> None:
        assert cache.add("greeting", "hello", 60)
        assert not cache.add("greeting", "hello again", 60)
        assert cache.get("greeting") == "hello"
        cache.set("greeting", "good day", 60)
        assert cache.get("greeting") == "good day"
        assert cache.delete("greeting")
        assert cache.get("greeting", "nothing") == "nothing"

    def test_keeps_nothing_while_redis_is_away(self, nowhere: ForgetfulCache) -> None:
        nowhere.set("greeting", "hello", 60)
        assert nowhere.get("greeting", "nothing") == "nothing"
        assert nowhere.add("lock", "mine", 60)
        assert not nowhere.delete("greeting")
