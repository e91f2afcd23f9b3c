"""Who tries too often is slowed down, unless Redis, where that is counted, is away."""

import pytest
from django.core.cache import cache
from django.test import Client

from krakapp.cache import ForgetfulCache
from tests import world

LIMITS = {"login_failed": "2/m/ip"}
ACCOUNT = {"email": "alice@demo.test", "password": "not hers"}


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


@pytest.mark.django_db
class TestSigningIn:
    @pytest.fixture(autouse=True)
    def _limits(self, settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.ACCOUNT_RATE_LIMITS = LIMITS

    def attempts(self) -> list[str]:
        client = Client(raise_request_exception=False)
        login = "/_allauth/app/v1/auth/login"
        answers = [client.post(login, ACCOUNT, "application/json") for _ in range(4)]
        return [answer.json()["errors"][0]["code"] for answer in answers]

    def test_is_slowed_down_after_failures(self) -> None:
        world.alice()
        assert self.attempts() == ["email_password_mismatch"] * 2 + ["too_many_login_attempts"] * 2

    def test_goes_on_while_redis_is_away(
        self, nowhere: ForgetfulCache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.alice()
        monkeypatch.setattr("allauth.core.internal.ratelimit.cache", nowhere)
        assert self.attempts() == ["email_password_mismatch"] * 4
