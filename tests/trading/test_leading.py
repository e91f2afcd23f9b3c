"""An engine that fails: what nobody can carry out is set aside, and another takes the lead over."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

import trading.operations
from common import realtime
from common.invariants import find_breaks
from tests import world
from trading import engine, queries
from trading.models import Command, Order, Release, Shard
from trading.operations import OrderDraft, log

if TYPE_CHECKING:
    from tests.trading.floor import Floor

PATIENCE_S = 60


class TestSettingAside:
    @pytest.fixture(autouse=True)
    def _one_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Keep the connection that the test's transaction lives on."""
        monkeypatch.setattr(connection, "close", lambda: None)

    @pytest.fixture
    def orders(self, floor: "Floor") -> list[Order]:
        alice = world.alice()
        world.fund(alice, "1000")
        return [
            floor.place(alice, "buy", quantity="1", limit_price=price)
            for price in ("100", "101", "102")
        ]

    def lead(self) -> None:
        """Let a leader do all there is to do."""
        leader = trading.operations.Leader("main")
        while leader.step() or leader._one_by_one:
            pass
        trading.operations.settle_due(now=world.NOW)

    def check(self, orders: list[Order]) -> None:
        """See that the second of three orders is set aside, and blocks nobody."""
        good, bad, late = orders
        for order in orders:
            order.refresh_from_db()
        assert [good.status, bad.status, late.status] == ["open", "rejected", "open"]
        assert bad.reason == "set_aside"
        assert sorted(order.execution for order in orders) == [1, 2, 3]
        assert world.available(world.alice()) == Decimal("797.798")
        assert not Command.objects.filter(sequence=None).exists()
        assert list(find_breaks(queries.CHECKS)) == []

    def test_a_command_that_cannot_be_written(
        self, orders: list[Order], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        honest = log.write

        def refusing(batch: log.Batch, instruments: object) -> object:
            if orders[1].pk in batch.orders:
                connection.cursor().execute("INSERT INTO trading_trade DEFAULT VALUES")
            return honest(batch, instruments)

        monkeypatch.setattr(log, "write", refusing)
        self.lead()
        self.check(orders)

    @pytest.mark.parametrize("bug", [ZeroDivisionError, KeyError, RecursionError, AssertionError])
    def test_a_command_that_the_engine_fails_on(
        self, orders: list[Order], monkeypatch: pytest.MonkeyPatch, bug: type[Exception]
    ) -> None:
        honest = engine.Engine.apply

        def failing(self: Any, sequence: int, at: int, kind: str, payload: Any) -> Any:
            if kind == "place" and json.loads(payload)["order"] == orders[1].pk:
                raise bug
            return honest(self, sequence, at, kind, payload)

        monkeypatch.setattr(engine.Engine, "apply", failing)
        self.lead()
        monkeypatch.undo()
        self.check(orders)


@pytest.mark.django_db(transaction=True)
class TestPlantedCommands:
    PLANTS: list[tuple[str, Any]] = [
        ("amend", {"order": 10**9, "quantity": 5, "budget_increase": 7}),
        (
            "quote",
            {
                "instrument": 1,
                "bid_order": 10**9,
                "ask_order": 5,
                "bid_budget_increase": 7,
                "until": 10**18,
            },
        ),
        ("quote", {"bid_order": 10**9, "ask_order": 5, "bid_budget_increase": 7}),
        ("confirm", {"until": "soon"}),
        ("mark", {"prices": {"9" * 5_000: 1}}),
        ("cancel", {"order": [], "close": "x" * 100_000}),
        ("hours", {"instruments": [10**30]}),
        ("place", {}),
        ("place", {"order": 10**9, "budget": 5}),
        ("no such kind", []),
    ]

    def test_that_mean_nothing_change_nothing_and_block_nobody(
        self, transactional_db: None, friday: None
    ) -> None:
        from tests.trading.floor import Floor  # noqa: PLC0415

        floor = Floor()
        alice = world.alice()
        world.fund(alice, "1000")
        planted = Command.objects.bulk_create(
            Command(shard=Shard.objects.get(), kind=kind, payload=payload)
            for kind, payload in self.PLANTS
        )
        order = floor.place(alice, "buy", quantity="1", limit_price="100")
        floor.engine.release()
        leader = trading.operations.Leader("main")
        while leader.step() or leader._one_by_one:
            pass
        trading.operations.settle_due(now=world.NOW)
        order.refresh_from_db()
        assert order.status == "open"
        assert not Release.objects.exists()
        outcomes = Command.objects.filter(pk__in=[one.pk for one in planted])
        assert outcomes.exclude(sequence=None).count() == len(planted)
        reasons = dict(outcomes.values_list("kind", "reason"))
        assert reasons["no such kind"] == "unknown_kind"
        assert reasons["place"] == "set_aside"


class Process:
    """`manage.py run_engine` on the test database."""

    def __init__(self, *arguments: str) -> None:
        database = connection.settings_dict
        who = f"{database['USER']}:{quote(database['PASSWORD'] or '', safe='')}"
        address = f"{who}@{quote(database['HOST'], safe='')}/{database['NAME']}"
        places = {"DATABASE_URL": f"postgresql://{address}", "REDIS_URL": settings.REDIS_URL}
        self.child = subprocess.Popen(
            [sys.executable, "manage.py", "run_engine", *arguments],
            cwd=settings.BASE_DIR,
            env={**os.environ, **places},
            stderr=subprocess.PIPE,
            text=True,
        )


class World:
    """Engines in processes of their own, and what they say on the market's channel."""

    def __init__(self) -> None:
        self.engines: list[Process] = []
        self.ear = realtime.connection().pubsub()
        self.ear.subscribe(realtime.MARKET_CHANNEL)

    def start(self) -> subprocess.Popen[str]:
        self.engines.append(Process("--silence", "1"))
        return self.engines[-1].child

    def hear_of(self, epoch: int) -> None:
        """Wait until an engine of an epoch shows a book."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            said = self.ear.get_message(ignore_subscribe_messages=True, timeout=1)
            message = json.loads(said["data"]) if said else {}
            if message.get("kind") == "book" and message["epoch"] == epoch:
                return
        raise AssertionError(f"nobody leads with epoch {epoch}")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Look often until something is true of the database."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def is_standing_by(self) -> bool:
        """Tell whether somebody has tried for the lead, and did not get it."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND query LIKE '%pg_try_advisory_lock%'"
            )
            return bool(cursor.fetchone()[0])

    def end(self) -> None:
        for one in self.engines:
            if one.child.poll() is None:
                one.child.kill()
            one.child.communicate()
        self.ear.close()


@pytest.mark.django_db(transaction=True)
class TestStandby:
    @pytest.fixture
    def processes(self, transactional_db: None) -> Iterator[World]:
        found = World()
        yield found
        found.end()

    def test_leads_after_a_kill_and_after_a_hang_and_whoever_wakes_up_ends(
        self, processes: World
    ) -> None:
        apple = world.instrument("AAPLx")
        alice = world.alice()
        world.fund(alice, "1000")
        first = processes.start()
        processes.hear_of(1)
        second = processes.start()
        processes.wait_for(processes.is_standing_by)

        killed_at = time.monotonic()
        first.kill()
        processes.hear_of(2)
        print(f"led {time.monotonic() - killed_at:.2f} s after the kill")  # noqa: T201 - a figure
        draft = OrderDraft(apple, "buy", "limit", quantity=Decimal(1), limit_price=Decimal(100))
        order = trading.operations.place_order(draft=draft, customer=alice, now=world.NOW)
        processes.wait_for(lambda: Order.objects.get(pk=order.pk).status == "open")

        third = processes.start()
        processes.wait_for(processes.is_standing_by)
        second.send_signal(signal.SIGSTOP)
        processes.hear_of(3)
        trading.operations.cancel_order(order=order, now=world.NOW)
        processes.wait_for(lambda: Order.objects.get(pk=order.pk).status == "cancelled")
        standing = list(Shard.objects.values())
        second.send_signal(signal.SIGCONT)
        said = second.communicate(timeout=PATIENCE_S)[1]
        assert second.returncode == 1
        assert "another engine leads this shard now" in said
        assert list(Shard.objects.values("epoch")) == [{"epoch": 3}]
        assert standing[0]["epoch"] == 3
        assert third.poll() is None
        assert {found.check for found in find_breaks(queries.CHECKS)} == set()
