from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

import portfolio.operations
from common.invariants import find_breaks
from portfolio import queries
from portfolio.models import Lot, LotClosing, LotDue
from tests import world
from tests.portfolio import desk
from tests.trading.floor import Floor


def broken():
    return {found.check for found in find_breaks(queries.CHECKS)}


@pytest.fixture
def alice():
    alice = world.alice()
    world.fund(alice, "10000")
    return alice


@pytest.fixture
def floor():
    return Floor()


@pytest.mark.django_db
class TestBookLots:
    def test_a_buy_opens_a_lot_of_what_it_cost(self, alice):
        bought = desk.trade(alice, "buy", "2", price="150")
        assert LotDue.objects.get().trade == bought
        assert broken() == set()
        assert desk.book() == 1
        lot = Lot.objects.get()
        assert (lot.customer, lot.quantity, lot.cost) == (alice, 200_000_000, 300_000_000)
        assert not LotDue.objects.exists()
        assert broken() == set()

    def test_a_sell_closes_the_oldest_first_and_realizes_the_difference(self, alice):
        desk.trade(alice, "buy", "1", price="100")
        desk.trade(alice, "buy", "1", price="200", minutes=1)
        desk.trade(alice, "sell", "1.5", price="300", minutes=2)
        desk.book()
        gains = [(c.quantity, c.proceeds - c.cost) for c in LotClosing.objects.order_by("id")]
        assert gains == [(100_000_000, 200_000_000), (50_000_000, 50_000_000)]
        assert [lot.remaining for lot in Lot.objects.order_by("id")] == [0, 50_000_000]
        assert broken() == set()

    def test_the_fee_is_a_part_of_the_cost_and_less_of_the_proceeds(self, alice):
        desk.trade(alice, "buy", "2", price="150", rate="0.004")
        desk.trade(alice, "sell", "1", price="300", rate="0.001", minutes=1)
        desk.book()
        assert Lot.objects.get().cost == 301_200_000
        closing = LotClosing.objects.get()
        assert (closing.cost, closing.proceeds) == (150_600_000, 299_700_000)
        assert broken() == set()

    def test_lots_of_two_runs_close_oldest_first_too(self, alice):
        for minute, price in enumerate(("100", "200")):
            desk.trade(alice, "buy", "1", price=price, minutes=minute)
            desk.book()
        desk.trade(alice, "sell", "1", price="300", minutes=2)
        desk.book()
        assert LotClosing.objects.get().cost == 100_000_000

    @pytest.mark.parametrize("runs", [1, 2])
    def test_lots_of_one_moment_close_in_the_order_of_their_trades(self, alice, runs):
        for price in ("100", "200"):
            desk.trade(alice, "buy", "1", price=price)
            if runs == 2:
                desk.book()
        desk.trade(alice, "sell", "1", price="300")
        desk.book()
        assert LotClosing.objects.get().cost == 100_000_000

    def test_two_sales_of_one_run_close_one_lot_after_the_other(self, alice):
        for minute, price in enumerate(("100", "200", "300")):
            desk.trade(alice, "buy", "1", price=price, minutes=minute)
        desk.book()
        for minute in (3, 4):
            desk.trade(alice, "sell", "1.25", price="300", minutes=minute)
        desk.book()
        closed = [(c.quantity, c.cost) for c in LotClosing.objects.order_by("id")]
        assert closed == [
            (100_000_000, 100_000_000),
            (25_000_000, 50_000_000),
            (75_000_000, 150_000_000),
            (50_000_000, 150_000_000),
        ]
        assert [lot.remaining for lot in Lot.objects.order_by("id")] == [0, 0, 50_000_000]
        assert broken() == set()

    def test_a_lot_closes_to_its_last_base_unit(self, alice):
        for side, shares in (("buy", "0.00000002"), ("sell", "0.00000001"), ("sell", "0.00000001")):
            desk.trade(alice, side, shares, price="300")
            assert desk.book() == 1
        assert Lot.objects.get().remaining == 0
        assert broken() == set()

    def test_is_asked_of_a_worker_soon(self, alice, monkeypatch):
        asked = []
        monkeypatch.setattr(
            portfolio.operations.realtime, "run_soon", lambda name, **how: asked.append(name)
        )
        desk.trade(alice, "buy", "1")
        assert portfolio.operations.BOOK_LOTS in asked

    def test_goes_by_when_shares_were_acquired_not_by_when_they_are_booked(self, alice):
        desk.trade(alice, "buy", "1", price="200", minutes=5)
        desk.book()
        desk.trade(alice, "buy", "1", price="100", minutes=1)
        desk.trade(alice, "sell", "1", price="300", minutes=9)
        desk.book()
        assert LotClosing.objects.get().cost == 100_000_000
        assert broken() == set()

    def test_the_same_trade_announced_twice_is_booked_once(self, alice):
        bought = desk.trade(alice, "buy", "2")
        sold = desk.trade(alice, "sell", "1", minutes=1)
        desk.book()
        portfolio.operations.mark_lots_due(trade_ids=[bought.pk, sold.pk, sold.pk])
        desk.book()
        assert (Lot.objects.count(), LotClosing.objects.count()) == (1, 1)
        assert broken() == set()

    def test_the_house_has_no_lots(self, alice):
        desk.trade(alice, "buy", "2")
        desk.book()
        assert {lot.customer for lot in Lot.objects.all()} == {alice}

    def test_a_sale_of_unbooked_shares_waits_and_holds_up_nobody_else(self, alice):
        carol = world.carol()
        world.fund(carol, "1000")
        world.give(alice, world.instrument(), "1")
        desk.trade(alice, "sell", "1")
        desk.trade(alice, "buy", "1", minutes=1)
        desk.trade(carol, "buy", "1", minutes=2)
        assert desk.book() == 1
        assert LotDue.objects.count() == 2
        assert Lot.objects.get().customer == carol

    def test_a_seller_whose_sale_waits_sells_nothing_before_it(self, alice):
        desk.trade(alice, "buy", "0.5")
        desk.book()
        world.give(alice, world.instrument(), "1")
        desk.trade(alice, "sell", "1.2", minutes=1)
        desk.trade(alice, "sell", "0.3", minutes=2)
        assert desk.book() == 0
        assert LotDue.objects.count() == 2

    def test_a_buyer_from_whose_sale_waits_sells_nothing_before_that(self, alice, floor):
        """Carol's purchase from Alice is older than the other: it is to be closed first."""
        carol = world.carol()
        world.fund(carol, "1000")
        world.give(alice, floor.instrument, "1")
        floor.place(alice, "sell", quantity="1", limit_price="278.60")
        floor.run()
        floor.place(carol, "buy", quantity="1", limit_price="278.60")
        floor.run()
        desk.trade(carol, "buy", "1", price="200", minutes=1)
        desk.trade(carol, "sell", "1", price="300", minutes=2)
        assert desk.book() == 0
        assert LotDue.objects.count() == 3
        assert not LotClosing.objects.exists()

    def test_a_crash_midway_leaves_everything_due(self, alice, monkeypatch):
        desk.trade(alice, "buy", "2")

        def crash(*_args, **_kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(LotClosing.objects, "bulk_create", crash)
        with pytest.raises(KeyboardInterrupt):
            desk.book()
        monkeypatch.undo()
        assert LotDue.objects.count() == 1
        assert not Lot.objects.exists()
        assert desk.book() == 1

    def test_many_trades_take_as_few_queries_as_one(self, alice, django_assert_max_num_queries):
        for minute in range(20):
            desk.trade(alice, "buy", "1", minutes=minute)
            desk.trade(alice, "sell", "0.5", minutes=minute)
        with django_assert_max_num_queries(16):
            assert desk.book() == 40
        assert broken() == set()


@pytest.mark.django_db(transaction=True)
class TestTwoBookersAtOnce:
    def test_book_each_trade_once(self):
        alice = world.alice()
        world.fund(alice, "10000")
        for minute in range(10):
            desk.trade(alice, "buy", "1", minutes=minute)
            desk.trade(alice, "sell", "0.7", minutes=minute)

        def run():
            try:
                return desk.book()
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as threads:
            booked = sum(one.result() for one in [threads.submit(run) for _ in range(4)])
        assert booked + desk.book() == 20
        assert Lot.objects.count() == 10
        assert broken() == set()


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestChecks:
    """Each promise about lots, broken on purpose, is reported by name."""

    @pytest.fixture(autouse=True)
    def day(self):
        alice, carol = world.alice(), world.carol()
        for user in (alice, carol):
            world.fund(user, "10000")
            desk.trade(user, "buy", "2")
        desk.trade(alice, "sell", "1", minutes=1)
        desk.book()
        assert broken() == set()

    def plant(self, sql):
        with connections["owner"].cursor() as cursor:
            cursor.execute(sql)
        return broken()

    def test_a_lot_that_has_less_than_the_account(self):
        found = self.plant("UPDATE portfolio_lot SET remaining = remaining - 1 WHERE remaining > 1")
        assert found == {
            "open lots are what is held",
            "closed and open parts are what was acquired",
        }

    def test_a_buy_without_a_lot(self):
        found = self.plant(
            "DELETE FROM portfolio_lot l WHERE NOT EXISTS"
            " (SELECT FROM portfolio_lotclosing c WHERE c.lot_id = l.id)"
        )
        assert found == {"open lots are what is held", "every settled buy opened its lot"}

    def test_a_lot_of_another_cost_than_its_trade(self):
        found = self.plant("UPDATE portfolio_lot SET cost = cost + 1")
        assert "every settled buy opened its lot" in found

    def test_a_sell_that_closed_nothing(self):
        found = self.plant("DELETE FROM portfolio_lotclosing")
        assert "every settled sell closed its lots" in found

    def test_a_sell_of_other_proceeds_than_its_trade(self):
        found = self.plant("UPDATE portfolio_lotclosing SET proceeds = proceeds + 1")
        assert found == {"every settled sell closed its lots"}

    def test_a_lot_whose_parts_do_not_add_up(self):
        found = self.plant("UPDATE portfolio_lot SET remaining_cost = remaining_cost + 1")
        assert found == {"closed and open parts are what was acquired"}

    def test_a_sale_that_closed_somebody_elses_lot(self):
        found = self.plant(
            "UPDATE portfolio_lotclosing SET lot_id = (SELECT l.id FROM portfolio_lot l"
            " JOIN users_user u ON u.id = l.customer_id WHERE u.email = 'carol@demo.test')"
        )
        assert "lots of a customer are closed by that customer's sales" in found
