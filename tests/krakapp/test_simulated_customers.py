import itertools
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from random import Random

import pytest

import kyc.queries
import payments.operations
import payments.queries
import trading.operations
import users.queries
from common import clock
from common.invariants import find_breaks
from krakapp import celery, tasks
from krakapp.demo import customers, habits
from krakapp.demo.habits import Market, Purse
from ledger import queries as ledger
from market import queries as market
from market.models import ReferencePrice, TapeTrade
from payments.models import DepositInstruction
from tests import world
from tests.trading.floor import Floor
from trading import queries
from trading.models import Order
from users.models import User

PRICE = Decimal("278.50")


@pytest.fixture(autouse=True)
def _two(settings):
    settings.SIMULATED_CUSTOMERS = 2


@pytest.fixture
def floor(db, friday, monkeypatch):
    """Open a market in which the house stands ready; its engine's clock stands nearly still."""
    passed = itertools.count()
    begun = int(world.NOW.timestamp() * 1_000_000)
    monkeypatch.setattr(trading.operations.Engine, "_now_us", lambda _: begun + next(passed))
    floor = Floor()
    world.stock_house(floor.instrument, shares="10000", dollars="5000000")
    trading.operations.Desk().step(now=world.NOW)
    floor.run()
    return floor


@pytest.fixture
def robin(floor):
    """Bring a simulated customer with five thousand dollars."""
    customers.welcome(number=1, now=world.NOW)
    robin = User.objects.get(email="simulated-01@demo.test")
    announced = DepositInstruction.objects.get(user=robin)
    payments.operations.receive_bank_credit(
        external_id="simulated",
        reference=announced.reference,
        amount=world.usd("5000"),
        now=world.NOW,
    )
    return robin


@pytest.fixture
def busy(monkeypatch):
    """Let each tick be one at which somebody acts."""
    monkeypatch.setattr(customers, "BUSY", 1)


def live(ticks, *, floor=None, seed=0):
    """Let so many ticks pass; count what was done."""
    done = Counter()
    for tick in range(ticks):
        done[customers.live(now=world.NOW, random=Random(f"{seed}:{tick}"))] += 1
        if floor:
            floor.run()
    return done


class TestWishes:
    @pytest.fixture
    def markets(self, db):
        return [
            Market(world.instrument(symbol), PRICE)
            for symbol in ("AAPLx", "NVDAx", "XOMx", "WMTx", "Vx", "VTx")
        ]

    def wishes(self, purse, markets, equity, count=600):
        drawn = [
            habits.wish(
                purse=purse, markets=markets, equity=equity, random=Random(n), now=world.NOW
            )
            for n in range(count)
        ]
        return [draft for draft in drawn if draft]

    def test_are_the_same_for_the_same_seed(self, markets):
        purse = Purse(Decimal(2000), {"AAPLx": Decimal(4)})
        one, other = (self.wishes(purse, markets, Decimal(3114)) for _ in range(2))
        assert one == other
        assert len(set(map(repr, one))) > 100

    def test_are_mostly_market_orders_by_dollars(self, markets):
        kinds = Counter(
            (draft.type, draft.notional is not None)
            for draft in self.wishes(Purse(Decimal(5000), {}), markets, Decimal(5000))
        )
        assert kinds["market", True] > 2 * kinds["limit", False] > 100
        assert set(kinds) == {("market", True), ("limit", False)}

    def test_are_of_well_known_shares_most_often(self, markets):
        bought = Counter(
            draft.instrument.symbol
            for draft in self.wishes(Purse(Decimal(5000), {}), markets, Decimal(5000))
        )
        assert bought["NVDAx"] > bought["AAPLx"] > 2 * bought["XOMx"] > 0
        assert set(bought) == {"AAPLx", "NVDAx", "XOMx", "WMTx", "Vx", "VTx"}

    @pytest.mark.parametrize(
        ("cash", "shares", "buys"),
        [
            (5000, 0, (1, 1)),
            (4443, 2, (0.6, 0.75)),
            (2500, 9, (0.4, 0.6)),
            (400, 16, (0.25, 0.4)),
            (0, 18, (0, 0)),
        ],
    )
    def test_keep_half_in_cash(self, markets, cash, shares, buys):
        purse = Purse(Decimal(cash), {"AAPLx": Decimal(shares)} if shares else {})
        drawn = self.wishes(purse, markets, Decimal(cash) + shares * PRICE)
        share = sum(draft.side == "buy" for draft in drawn) / len(drawn)
        assert buys[0] <= share <= buys[1]

    def test_never_ask_for_more_than_there_is(self, markets):
        purse = Purse(Decimal(120), {"AAPLx": Decimal("0.3")})
        for draft in self.wishes(purse, markets, Decimal(120) + Decimal("0.3") * PRICE):
            if draft.side == "buy":
                cost = draft.notional or draft.quantity * draft.limit_price
                assert cost <= 60
            else:
                assert (draft.quantity or draft.notional / PRICE) <= Decimal("0.3")

    def test_sometimes_sell_all(self, markets):
        drawn = self.wishes(Purse(Decimal(0), {"AAPLx": Decimal(18)}), markets, 18 * PRICE)
        all_of_it = [draft for draft in drawn if draft.quantity == 18]
        assert 0.2 < len(all_of_it) / len(drawn) < 0.4

    def test_rest_near_the_price_and_not_for_long(self, markets):
        limits = [
            draft
            for draft in self.wishes(Purse(Decimal(5000), {}), markets, Decimal(5000))
            if draft.type == "limit"
        ]
        for draft in limits:
            assert abs(draft.limit_price / PRICE - 1) < Decimal("0.0009")
            assert draft.limit_price == draft.instrument.quoted(draft.limit_price)
            assert timedelta(0) < draft.expires_at - world.NOW <= timedelta(minutes=5)

    def test_are_none_without_money_or_market(self, markets):
        nothing = Purse(Decimal(0), {})
        assert self.wishes(nothing, markets, Decimal(0)) == []
        assert self.wishes(Purse(Decimal(100), {"AAPLx": Decimal(1)}), [], Decimal(300)) == []


class TestArrival:
    def test_comes_one_at_a_tick_until_all_are_there(self, floor):
        assert live(2) == {"deposited": 2}
        people = users.queries.simulated_customers()
        assert [one.email for one in people] == [
            "simulated-01@demo.test",
            "simulated-02@demo.test",
        ]
        assert all(kyc.queries.standing(one).can["trade"] for one in people)
        assert not any(one.has_usable_password() for one in people)
        live(20)
        assert users.queries.simulated_customers().count() == 2

    def test_is_whole_or_not_at_all(self, floor, monkeypatch):
        def killed(**_parts):
            raise KeyboardInterrupt

        monkeypatch.setattr("payments.operations.announce_deposit", killed)
        with pytest.raises(KeyboardInterrupt):
            live(1)
        assert not users.queries.simulated_customers().exists()

    def test_deposits_once_while_it_is_on_its_way(self, floor, busy):
        assert live(30)["deposited"] == 2
        assert DepositInstruction.objects.count() == 2


class TestLife:
    def test_goes_on_and_leaves_nothing_on_the_book(
        self, floor, robin, busy, settings, monkeypatch
    ):
        settings.SIMULATED_CUSTOMERS = 1
        done = live(150, floor=floor)
        assert done["market buy"] > 40
        assert done["market sell"] > 20
        assert done["limit buy"] + done["limit sell"] > 10
        assert done["refused"] == 0
        became = Counter(Order.objects.filter(customer=robin).values_list("status", flat=True))
        rejected = Order.objects.filter(customer=robin, status="rejected")
        assert set(rejected.values_list("reason", flat=True)) <= {"self_trade"}  # alone here
        assert became["filled"] > 60
        assert became["cancelled"] + became["expired"] > 0
        ten_minutes_later = int((world.NOW + timedelta(minutes=10)).timestamp() * 1_000_000)
        monkeypatch.setattr(floor.engine, "_now_us", lambda: ten_minutes_later)
        floor.run()
        assert not queries.open_orders_of(robin).exists()
        assert list(find_breaks(queries.CHECKS)) == []
        assert list(find_breaks(ledger.CHECKS)) == []

    def test_takes_back_what_rests_or_lets_it_expire(self, floor, robin, busy, settings):
        settings.SIMULATED_CUSTOMERS = 1
        floor.place(robin, "buy", quantity="0.1", limit_price="270.00")
        assert live(20)["cancelled"] > 0
        assert not Order.objects.filter(
            customer=robin, status__in=Order.LIVE, type="limit", expires_at=None
        ).exclude(limit_price=270)

    def test_stays_quiet_when_new_york_does(self, floor, robin, settings, monkeypatch):
        settings.SIMULATED_CUSTOMERS = 1
        monkeypatch.setattr(customers, "_act", lambda *_: "acted")
        assert 250 < live(300)["acted"] < 290
        monkeypatch.setattr(market, "primary_is_open", lambda now: False)
        assert 90 < live(300)["acted"] < 150

    def test_deposits_again_when_poor(self, floor, robin, busy, settings, monkeypatch):
        settings.SIMULATED_CUSTOMERS = 1
        monkeypatch.setattr(customers, "POOR_USD", Decimal(6_000))
        monkeypatch.setattr(customers, "START_USD", Decimal(9_000))
        assert live(10) == {"deposited": 1, "nothing": 9}
        waiting = payments.queries.waiting_instructions().get()
        assert (waiting.user, waiting.amount_units) == (robin, 4_000_000_000)

    def test_goes_on_after_a_refusal(self, floor, robin, busy, settings):
        settings.SIMULATED_CUSTOMERS = 1
        trading.operations.halt_market(
            book=floor.instrument.book,
            state="cancel_only",
            actor=world.oscar(),
            reason="a test",
            now=world.NOW,
        )
        floor.run()
        assert set(live(10)) <= {"refused", "nothing"}

    def test_trades_at_no_price_that_is_old(self, floor, robin, busy, settings):
        settings.SIMULATED_CUSTOMERS = 1
        ReferencePrice.objects.update(at=world.NOW - timedelta(minutes=1))
        assert live(10) == {"nothing": 10}


class TestTheTask:
    def test_is_of_a_demo_with_such_customers(self, settings):
        task = "let the simulated customers trade"
        assert task in celery.schedule()
        settings.SIMULATED_CUSTOMERS = 0
        assert task not in celery.schedule()

    def test_draws_from_the_seed_and_the_second(self, floor, monkeypatch):
        drawn = []

        def live(*, now, random):
            drawn.append(random.random())
            return "nothing"

        monkeypatch.setattr(customers, "live", live)
        for seconds in (0, 0, 2):
            monkeypatch.setattr(clock, "now", lambda s=seconds: world.NOW + timedelta(seconds=s))
            tasks.let_simulated_customers_trade()
        assert drawn[0] == drawn[1] != drawn[2]


class TestTheMark:
    @pytest.fixture
    def told(self, monkeypatch):
        """Hear what the engine publishes of trades."""
        heard = []
        monkeypatch.setattr(
            "common.realtime.publish_market", lambda message, **_: heard.append(message)
        )
        return lambda: [one["simulated"] for one in heard if one["kind"] == "trade"]

    def page(self, client):
        rows = client.get("/api/v1/instruments/AAPLx/trades").json()["results"]
        shown = "Simulated trades" in client.get("/markets/AAPLx/").content.decode()
        return [row["simulated"] for row in rows], shown

    def test_is_on_a_trade_of_theirs_wherever_it_is_told(self, floor, robin, told, client):
        floor.place(robin, "buy", quantity="1")
        floor.run()
        assert TapeTrade.objects.get().simulated
        assert told() == [True]
        assert self.page(client) == ([True], True)

    def test_is_on_no_trade_of_people(self, floor, robin, told, client):
        world.fund(world.alice(), "1000")
        floor.place(world.alice(), "buy", quantity="1")
        floor.run()
        assert not TapeTrade.objects.get().simulated
        assert told() == [False]
        assert self.page(client) == ([False], False)

    def test_stays_through_a_split(self, floor, robin, client):
        floor.place(robin, "buy", quantity="1")
        floor.run()
        world.split(floor.instrument, 2)
        assert self.page(client)[0] == [True]
