from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

import trading.operations
from common.invariants import find_breaks
from krakapp.management.commands.audit_books import audit
from tests import world
from trading import engine, queries
from trading.models import Command, Order, Shard, Snapshot, Trade
from trading.queries import Replay

if TYPE_CHECKING:
    from tests.trading.floor import Floor


def differences() -> list[str]:
    replay = Replay(Shard.objects.get())
    replay.run()
    return list(replay.differences())


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestReplay:
    @pytest.fixture
    def floor(self, transactional_db: None, friday: None) -> "Floor":
        from tests.trading.floor import Floor  # noqa: PLC0415

        floor = Floor()
        world.stock_house(floor.instrument)
        alice = world.alice()
        world.fund(alice, "10000")
        floor.offer("10", "278.55")
        trading.operations.Desk().step(now=world.NOW)
        floor.place(alice, "buy", notional="5000")
        floor.place(alice, "buy", quantity="1", limit_price="270")
        gone = floor.place(alice, "buy", quantity="2", limit_price="269")
        floor.run()
        gone.refresh_from_db()
        trading.operations.cancel_order(order=gone, now=world.NOW)
        floor.run()
        return floor

    def test_the_log_makes_what_is_stored(self, floor: "Floor") -> None:
        assert differences() == []
        said = StringIO()
        call_command("replay_commands", stdout=said)
        assert "replayed alike" in said.getvalue()

    def test_tells_what_was_changed_by_hand(self, floor: "Floor") -> None:
        resting = Order.objects.get(status="open", type="limit", side="buy")
        resting.engine_state["price"] -= 1
        resting.save(update_fields=["engine_state"])
        found = differences()
        assert any(difference.startswith(f"order {resting.pk} is") for difference in found)
        assert any(difference.startswith("the books differ") for difference in found)

    def test_tells_a_trade_that_the_log_does_not_make(self, floor: "Floor") -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("UPDATE trading_trade SET cost = cost + 1")
        assert any(difference.startswith("trade ") for difference in differences())
        with pytest.raises(SystemExit):
            call_command("replay_commands", stdout=StringIO())


MONTH = timedelta(days=31)


def trade(floor: "Floor") -> None:
    """Let Alice buy, leave one order on the book and take another off."""
    alice = world.alice()
    floor.place(alice, "buy", quantity="1")
    floor.place(alice, "buy", quantity="1", limit_price="270")
    gone = floor.place(alice, "buy", quantity="2", limit_price="269")
    floor.run()
    trading.operations.cancel_order(order=gone, now=world.NOW)
    floor.run()


@pytest.fixture
def floor_of_trades(transactional_db: None, friday: None) -> "Floor":
    """A floor on which some things have happened."""
    from tests.trading.floor import Floor  # noqa: PLC0415

    floor = Floor()
    world.fund(world.alice(), "10000")
    floor.offer("10", "278.55")
    trade(floor)
    return floor


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestSnapshots:
    def test_a_replay_begins_at_the_last_one_and_makes_what_is_stored(
        self, floor_of_trades: "Floor"
    ) -> None:
        [early] = trading.operations.take_snapshots(now=world.NOW)
        trade(floor_of_trades)
        [late] = trading.operations.take_snapshots(now=world.NOW)
        trade(floor_of_trades)
        assert early.sequence < late.sequence
        assert late.engine_version == engine.version()
        for options, begun in (
            ({}, late.sequence),
            ({"since": late.sequence - 1}, early.sequence),
            ({"since": 0}, 0),
        ):
            said = StringIO()
            call_command("replay_commands", stdout=said, **options)
            assert f"commands since {begun} and" in said.getvalue()
            assert "replayed alike" in said.getvalue()

    def test_once_for_a_sequence(self, floor_of_trades: "Floor") -> None:
        for _ in range(2):
            trading.operations.take_snapshots(now=world.NOW)
        call_command("snapshot_books", stdout=StringIO())
        assert Snapshot.objects.count() == 1

    def test_a_snapshot_that_was_changed_is_told(self, floor_of_trades: "Floor") -> None:
        [snapshot] = trading.operations.take_snapshots(now=world.NOW)
        Snapshot.objects.update(state_hash="0" * 64)
        snapshot.refresh_from_db()
        replay = Replay(Shard.objects.get(), snapshot)
        replay.run()
        assert any("is not what it was" in difference for difference in replay.differences())

    def test_a_starting_leader_keeps_one_where_another_version_ran(
        self, floor_of_trades: "Floor"
    ) -> None:
        trading.operations.take_snapshots(now=world.NOW)
        floor_of_trades.engine.release()
        for version, kept in ((engine.version(), 1), ("another", 2)):
            Snapshot.objects.update(engine_version=version)
            leader = trading.operations.Leader("main")
            leader.engine().release()
            assert Snapshot.objects.count() == kept


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestPurge:
    def test_lets_go_only_what_an_old_snapshot_covers(self, floor_of_trades: "Floor") -> None:
        [covering] = trading.operations.take_snapshots(now=world.NOW)
        trade(floor_of_trades)
        [young] = trading.operations.take_snapshots(now=world.NOW + timedelta(days=20))
        assert trading.operations.purge_commands(now=world.NOW + timedelta(days=29)) == 0
        assert trading.operations.purge_commands(now=world.NOW + MONTH) == covering.sequence
        assert Command.objects.order_by("sequence")[0].sequence == covering.sequence + 1
        assert set(Snapshot.objects.all()) == {covering, young}
        assert trading.operations.purge_commands(now=world.NOW + MONTH) == 0

    def test_leaves_books_that_audit_clean_and_replay(self, floor_of_trades: "Floor") -> None:
        trading.operations.take_snapshots(now=world.NOW)
        resting = Order.objects.filter(status="open", side="buy").latest("id")
        trading.operations.amend_order(order=resting, limit_price=Decimal(271), now=world.NOW)
        trade(floor_of_trades)
        trading.operations.take_snapshots(now=world.NOW + timedelta(days=1))
        trading.operations.purge_commands(now=world.NOW + MONTH + timedelta(days=2))
        trade(floor_of_trades)
        assert Trade.objects.count() == 3
        assert audit(queries.CHECKS) == []
        call_command("replay_commands", stdout=StringIO())
        with pytest.raises(CommandError, match="no longer kept"):
            call_command("replay_commands", since=0, stdout=StringIO())

    def test_a_log_that_begins_later_than_it_says_is_told(self, floor_of_trades: "Floor") -> None:
        trading.operations.take_snapshots(now=world.NOW)
        trading.operations.purge_commands(now=world.NOW + MONTH)
        trade(floor_of_trades)
        Command.objects.order_by("sequence")[0].delete()
        assert "sequences are dense and time never falls" in {
            found.check for found in find_breaks(queries.CHECKS)
        }
