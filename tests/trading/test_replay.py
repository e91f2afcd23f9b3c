from io import StringIO
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.db import connections

import trading.operations
from tests import world
from trading.models import Order, Shard
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
