"""Buckets that leak, on the real Valkey."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from common import limits, realtime
from common.limits import Bucket, Level, TooManyCalls

pytestmark = pytest.mark.usefixtures("servers")


@pytest.fixture(autouse=True)
def _no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_outage", limits._Outage())


def bucket(name: str = "reads", *, capacity: int = 5, cost: int = 1, **more: Any) -> Bucket:
    # One leaks a unit in 1,000 s, so that no test depends on how fast it runs.
    return Bucket(name, "alice", capacity, more.get("per_second", 0.001), cost)


def levels_after(count: int, **more: Any) -> list[int]:
    return [limits.fill([bucket(**more)])[0].left for _ in range(count)]


class TestFill:
    def test_lets_a_bucket_be_filled_and_no_more(self) -> None:
        assert levels_after(5) == [4, 3, 2, 1, 0]
        with pytest.raises(TooManyCalls) as refusal:
            limits.fill([bucket()])
        assert 990 < refusal.value.retry_after <= 1000
        assert refusal.value.facts["limit"] == "reads"
        assert "too often. Wait" in refusal.value.detail

    def test_counts_what_a_call_costs(self) -> None:
        assert limits.fill([bucket(cost=3)])[0].left == 2
        with pytest.raises(TooManyCalls):
            limits.fill([bucket(cost=3)])
        assert limits.fill([bucket(cost=2)])[0].left == 0

    def test_leaks_with_time(self) -> None:
        fast = bucket(capacity=1, per_second=20)
        limits.fill([fast])
        for _ in range(1000):
            try:
                limits.fill([fast])
            except TooManyCalls:
                time.sleep(0.01)
            else:
                return
        pytest.fail("nothing leaked in ten seconds")

    def test_fills_none_of_several_where_one_has_no_room(self) -> None:
        limits.fill([bucket("writes", capacity=1)])
        both = [bucket("reads"), bucket("writes", capacity=1)]
        with pytest.raises(TooManyCalls) as refusal:
            limits.fill(both)
        assert [level.left for level in refusal.value.levels] == [5, 0]
        assert levels_after(1) == [4]

    def test_lets_a_forced_call_through_and_counts_it(self) -> None:
        assert limits.fill([bucket(cost=8)], forced=True)[0].left == 0
        with pytest.raises(TooManyCalls) as refusal:
            limits.fill([bucket()])
        assert 3900 < refusal.value.retry_after <= 4000

    def test_lets_forced_calls_owe_one_whole_bucket_at_most(self) -> None:
        for _ in range(20):
            limits.fill([bucket(cost=8)], forced=True)
        with pytest.raises(TooManyCalls) as refusal:
            limits.fill([bucket()])
        assert refusal.value.retry_after <= 6000

    def test_lets_no_two_at_once_pass_together(self) -> None:
        barrier = threading.Barrier(16)

        def ask(_: int) -> int:
            barrier.wait(timeout=60)
            passed = 0
            for _ in range(20):
                try:
                    limits.fill([bucket(capacity=50)])
                except TooManyCalls:
                    continue
                passed += 1
            return passed

        with ThreadPoolExecutor(16) as threads:
            assert sum(threads.map(ask, range(16))) == 50

    def test_keeps_nothing_of_a_bucket_that_ran_empty(self) -> None:
        limits.fill([bucket(per_second=1000)])
        limits.fill([bucket("writes")])
        time_left = realtime.connection().pttl("limit:writes:alice")
        assert 990_000 < time_left <= 1_000_000
        assert realtime.connection().pttl("limit:reads:alice") < 100


class TestHeaders:
    def test_say_the_policies_and_how_they_stand(self) -> None:
        levels = [Level(Bucket("reads", "a", 100, 5), 99, 0, 0.2), Level(bucket(), 0, 3, 8)]
        assert limits.headers(levels) == {
            "RateLimit-Policy": '"reads";q=100;w=20, "reads";q=5;w=5000',
            "RateLimit": '"reads";r=99;t=1, "reads";r=0;t=8',
        }

    def test_say_nothing_where_nothing_was_counted(self) -> None:
        assert limits.headers([]) == {}


@pytest.fixture
def stopped_redis() -> Iterator[None]:
    """Stop the server as a hung machine would be; it goes on afterwards."""
    pid = int(realtime.connection().info("server")["process_id"])
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


class TestWhileRedisHangs:
    @pytest.mark.usefixtures("stopped_redis")
    def test_everybody_may_ask_and_only_the_first_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []
        script = limits._script()
        monkeypatch.setattr(limits, "AWAY_S", 1000)
        monkeypatch.setattr(
            limits, "_script", lambda: lambda **call: (asked.append(1), script(**call))[1]
        )
        assert [limits.fill([bucket(capacity=1)]) for _ in range(100)] == [[]] * 100
        assert len(asked) == 1
