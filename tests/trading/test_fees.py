from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

import trading.operations
from tests import world
from trading import queries
from trading.models import DailyVolume, FeeTier, Trade
from trading.operations import OrderDraft
from users.models import User

if TYPE_CHECKING:
    from tests.trading.floor import Floor

TODAY = world.NOW.date()


def traded(user: User, dollars: int, *, days_ago: int = 0) -> None:
    """Write down that a customer traded for so much, as the rollup would."""
    DailyVolume.objects.create(
        customer=user, day=TODAY - timedelta(days=days_ago), volume=dollars * 10**6
    )


def rates(user: User) -> tuple[str, str]:
    tier = queries.fee_tier(user, world.NOW)
    return f"{tier.maker_rate.normalize():f}", f"{tier.taker_rate.normalize():f}"


@pytest.mark.django_db
class TestFeeTier:
    @pytest.mark.parametrize(
        ("dollars", "expected"),
        [
            (0, ("-0.0002", "0.001")),
            (49_999, ("-0.0002", "0.001")),
            (50_000, ("-0.0002", "0.0009")),
            (999_999, ("-0.00025", "0.0008")),
            (30_000_000, ("-0.0004", "0.0005")),
        ],
    )
    def test_falls_with_volume(self, dollars: int, expected: tuple[str, str]) -> None:
        alice = world.alice()
        traded(alice, dollars)
        assert rates(alice) == expected

    def test_adds_up_thirty_days_and_no_more(self) -> None:
        alice = world.alice()
        traded(alice, 25_000, days_ago=0)
        traded(alice, 24_999, days_ago=29)
        traded(alice, 10**6, days_ago=30)
        assert rates(alice) == ("-0.0002", "0.001")
        traded(alice, 1, days_ago=15)
        assert rates(alice) == ("-0.0002", "0.0009")

    def test_counts_nobody_elses(self) -> None:
        traded(world.carol(), 10**6)
        assert rates(world.alice()) == ("-0.0002", "0.001")

    def test_changes_on_its_date(self) -> None:
        alice = world.alice()
        new = {"min_volume_usd": 0, "maker_rate": 0, "taker_rate": Decimal("0.002")}
        FeeTier.objects.create(since=TODAY + timedelta(days=1), **new)
        assert rates(alice) == ("-0.0002", "0.001")
        FeeTier.objects.create(since=TODAY, **new)
        assert rates(alice) == ("0", "0.002")
        traded(alice, 50_000)
        assert rates(alice) == ("-0.0002", "0.0009")  # that tier's newest row still is the first

    def test_costs_one_statement_whatever_the_history(self) -> None:
        alice = world.alice()
        for days_ago in range(60):
            traded(alice, 1_000, days_ago=days_ago)
        with CaptureQueriesContext(connection) as captured:
            queries.fee_tier(alice, world.NOW)
        assert len(captured) == 1


class TestRollUpVolume:
    def test_counts_both_sides_of_each_trade_once(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        floor.offer("100", "278.60")
        for _ in range(3):
            floor.place(alice, "buy", quantity="2", limit_price="279")
        floor.run()
        spent = sum(Trade.objects.values_list("cost", flat=True))
        day = Trade.objects.earliest("id").executed_at
        assert trading.operations.roll_up_volume(now=day) == 2
        assert trading.operations.roll_up_volume(now=day) == 0
        assert list(DailyVolume.objects.values_list("volume", "day")) == [(spent, day.date())] * 2
        floor.place(alice, "buy", quantity="1", limit_price="279")
        floor.run()
        assert trading.operations.roll_up_volume(now=day) == 2
        more = sum(Trade.objects.values_list("cost", flat=True))
        assert more > spent
        assert {row.volume for row in DailyVolume.objects.all()} == {more}

    def test_goes_on_from_the_last_day_counted(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "10000")
        floor.offer("10", "278.60")
        floor.place(alice, "buy", quantity="1", limit_price="279")
        floor.run()
        trade = Trade.objects.get()
        long_ago = trade.executed_at - timedelta(days=10)
        Trade.objects.update(executed_at=long_ago)
        assert trading.operations.roll_up_volume(now=trade.executed_at) == 2
        assert set(DailyVolume.objects.values_list("day", flat=True)) == {long_ago.date()}

    def test_leaves_trades_with_the_house_dealer_out(self, floor: "Floor") -> None:
        alice = world.alice()
        world.give(alice, floor.instrument, "2")
        world.stock_house(floor.instrument)
        trading.operations.trade_with_house(
            customer=alice,
            instrument=floor.instrument,
            side="sell",
            quantity=10**8,
            price=Decimal("278.40"),
            now=world.NOW,
            key="card:1",
        )
        assert trading.operations.roll_up_volume(now=world.NOW) == 0


class TestFeesOnOrders:
    def test_are_fixed_at_acceptance(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "10000")
        traded(alice, 60_000)
        order = floor.place(alice, "buy", quantity="1", limit_price="279")
        traded(alice, 10**6, days_ago=1)
        floor.offer("10", "279")
        floor.run()
        order.refresh_from_db()
        assert order.taker_rate == Decimal("0.0009")
        trade = Trade.objects.get()
        assert (
            trade.buy_fee == -trade.cost * 2 // 10_000 == -55_800
        )  # it waited: the maker's rebate

    def test_show_in_the_preview(self, floor: "Floor") -> None:
        alice = world.alice()
        traded(alice, 60_000)
        draft = OrderDraft(
            floor.instrument, "buy", "limit", quantity=Decimal(1), limit_price=Decimal(100)
        )
        preview = queries.preview(draft=draft, customer=alice, now=world.NOW)
        assert (preview.taker_rate, preview.fee) == (Decimal("0.0009"), Decimal("0.09"))

    def test_show_a_rebate_where_the_order_only_rests(self, floor: "Floor") -> None:
        draft = OrderDraft(
            floor.instrument,
            "buy",
            "limit",
            quantity=Decimal(1),
            limit_price=Decimal(100),
            post_only=True,
        )
        preview = queries.preview(draft=draft, customer=world.alice(), now=world.NOW)
        assert preview.fee == Decimal("-0.02")

    def test_are_told_over_rest(self, db: None, friday: None) -> None:
        alice = world.alice()
        traded(alice, 60_000)
        client = APIClient()
        client.force_authenticate(alice)
        answer = client.get("/api/v1/fees").json()
        assert Decimal(answer["volume_30d"]) == 60_000
        assert Decimal(answer["tier"]["taker_rate"]) == Decimal("0.0009")
        volumes = [Decimal(tier["min_volume"]) for tier in answer["schedule"]]
        assert volumes == [0, 50_000, 250_000, 10**6, 5 * 10**6, 25 * 10**6]


@pytest.mark.django_db
def test_no_two_tiers_let_the_house_pay() -> None:
    schedule = queries.schedule_of(date(2026, 11, 20))
    cheapest = min(tier.taker_rate for tier in schedule)
    assert cheapest + min(tier.maker_rate for tier in schedule) > 0


@pytest.mark.django_db
class TestDescribeTrade:
    def test_tells_each_side_its_own_fee(self, floor: "Floor") -> None:
        """Carol waited and is paid 0.02 %, Alice came and pays 0.1 %, of 278.60."""
        alice, carol = world.alice(), world.carol()
        world.fund(alice, "1000")
        floor.offer("1", "278.60")
        floor.place(alice, "buy", quantity="1", limit_price="278.60")
        floor.run()
        trade = Trade.objects.get()
        told = {user: queries.describe_trade(trade, user) for user in (alice, carol)}
        facts = ("side", "fee", "liquidity")
        assert [told[alice][fact] for fact in facts] == ["buy", "0.278600", "taker"]
        assert [told[carol][fact] for fact in facts] == ["sell", "-0.055720", "maker"]
        assert told[alice]["order_id"] != told[carol]["order_id"]
