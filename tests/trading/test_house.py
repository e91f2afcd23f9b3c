from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db.models import F
from django.forms.models import model_to_dict
from hypothesis import given
from hypothesis import strategies as st

import trading.operations
from common.invariants import find_breaks
from instruments.models import Instrument
from market import queries as market
from market.models import ReferencePrice
from tests import world
from trading import queries, rules
from trading.models import Book, Command, HousePolicy, MarketRule, Order, Shard, Trade

if TYPE_CHECKING:
    from tests.trading.floor import Floor

FIRST_ASK = Decimal("278.73")  # 8 basis points above 278.50, on the next tick


def refer(price: str, at: datetime = world.NOW) -> None:
    """Let the feed say a price."""
    ReferencePrice.objects.update(price=Decimal(price), at=at)


def set_policy(**changes: object) -> None:
    """Make a new house policy, as staff do in the admin."""
    terms = model_to_dict(HousePolicy.objects.latest("since"), exclude=["id"])
    HousePolicy.objects.create(**{**terms, "since": date(2026, 11, 1), **changes})


def best(instrument: Instrument, side: str) -> Decimal | None:
    quote = queries.standing_quote(instrument, side, now=world.NOW)
    return quote.levels[0][0] if quote else None


@pytest.fixture
def desk(floor: "Floor") -> trading.operations.Desk:
    """Have the house quote the floor's instrument."""
    Instrument.objects.exclude(pk=floor.instrument.pk).update(listed=False)
    world.stock_house(floor.instrument, shares="10000", dollars="5000000")
    desk = trading.operations.Desk()
    desk.step(now=world.NOW)
    floor.run()
    return desk


class TestQuotes:
    def test_stand_five_deep_on_both_sides(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        for side in ("buy", "sell"):
            quote = queries.standing_quote(floor.instrument, side, now=world.NOW)
            assert quote
            assert len(quote.levels) == 5
        assert best(floor.instrument, "sell") == FIRST_ASK
        assert best(floor.instrument, "buy") == Decimal("278.27")

    def test_are_renewed_on_a_fill_and_a_drift_only(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        assert desk.step(now=world.NOW) == 0
        refer("278.60")  # 4 basis points: not yet
        assert desk.step(now=world.NOW) == 0
        floor.place(alice, "buy", quantity="30")
        floor.run()
        assert desk.step(now=world.NOW) == 1
        floor.run()
        refer("278.80")  # 7 more
        assert desk.step(now=world.NOW) == 1
        floor.run()
        assert best(floor.instrument, "sell") == Decimal("279.03")

    def test_a_fill_is_not_forgotten_while_a_quote_still_waits(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        alice = world.alice()
        world.fund(alice, "100000")
        floor.place(alice, "buy", quantity="30")
        refer("279.50")
        assert desk.step(now=world.NOW) == 1  # and the engine is slow
        floor.engine.run_batch(limit=1)
        assert desk.step(now=world.NOW) == 0
        floor.run()
        assert desk.step(now=world.NOW) == 1

    def test_lean_against_what_the_house_has_sold(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        set_policy(inventory_usd=10_000)
        alice = world.alice()
        world.fund(alice, "100000")
        floor.place(alice, "buy", quantity="18")  # $5,013: half of it
        floor.run()
        desk.step(now=world.NOW)
        floor.run()
        assert queries.house_positions([floor.instrument]) == {floor.instrument.pk: -18 * 10**8}
        assert best(floor.instrument, "sell") == Decimal("278.81")  # 3 basis points higher
        assert best(floor.instrument, "buy") == Decimal("278.36")

    def test_are_withdrawn_from_a_stale_price_and_come_back(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        late = world.NOW + timedelta(seconds=31)
        assert desk.step(now=late) == 1
        floor.run()
        assert Order.objects.get(type="quote", side="buy").engine_state["levels"] == []
        refer("278.50", at=late)
        assert desk.step(now=late) == 1

    def test_are_withdrawn_from_an_absurd_price_until_it_has_held(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        refer("27850.00")
        assert desk.step(now=world.NOW) == 1
        floor.run()
        assert best(floor.instrument, "sell") is None
        soon, calm = (world.NOW + timedelta(seconds=s) for s in (59, 60))
        refer("27851.00", at=calm)
        assert desk.step(now=soon) == 0
        assert desk.step(now=calm) == 1

    @pytest.mark.parametrize(
        ("at", "first"),
        [
            (datetime(2026, 11, 20, 15, tzinfo=UTC), 8),  # New York's floor
            (datetime(2026, 11, 20, 3, tzinfo=UTC), 12),  # the night before
            (datetime(2026, 11, 21, 15, tzinfo=UTC), 20),  # Saturday
        ],
    )
    def test_are_wider_the_less_is_known(self, db: None, at: datetime, first: int) -> None:
        assert queries.house_distances(queries.house_policy(at), at)[0] == first


class TestTheBestPriceWins:
    def asks(self, floor: "Floor") -> list[Decimal]:
        quote = queries.standing_quote(floor.instrument, "sell", now=world.NOW)
        return [price for price, _ in quote.levels] if quote else []

    def test_a_dollar_bid_inside_the_spread_moves_nobodys_ask(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        refer("278.30")  # its first ask would be 278.53
        desk.step(now=world.NOW)
        floor.run()
        expected = self.asks(floor)
        refer("278.50")
        desk.step(now=world.NOW)
        floor.run()
        alice = world.alice()
        world.fund(alice, "100")
        bid = floor.place(alice, "buy", quantity="0.0036", limit_price="278.72")
        floor.run()
        refer("278.30")
        desk.step(now=world.NOW)
        floor.run()
        assert self.asks(floor) == expected
        trade = Trade.objects.get()
        assert (trade.buy_order, trade.price, trade.maker_side) == (bid, Decimal("278.72"), "buy")
        assert list(find_breaks(queries.CHECKS)) == []

    def test_bids_above_the_reference_are_filled_the_dearest_first(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        alice = world.alice()
        world.fund(alice, "10000")
        for cents in range(20):
            price = Decimal("278.50") + Decimal(cents) / 100
            floor.place(alice, "buy", quantity="0.01", limit_price=str(price))
        floor.run()
        assert not Trade.objects.exists()
        refer("278.20")  # the first ask comes down to 278.43
        desk.step(now=world.NOW)
        floor.run()
        prices = list(Trade.objects.order_by("id").values_list("price", flat=True))
        assert len(prices) == 20
        assert prices == sorted(prices, reverse=True)
        assert not Order.objects.filter(customer=alice, status="open").exists()
        assert list(find_breaks(queries.CHECKS)) == []

    def test_a_level_that_was_dropped_is_quoted_again_at_the_next_step(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        alice, book = world.alice(), Book.objects.get(instrument=floor.instrument)
        world.fund(alice, "100")
        floor.place(alice, "buy", quantity="0.01", limit_price="278.70")
        facts = {"actor": world.sam(), "reason": "test", "now": world.NOW}
        trading.operations.change_state(book=book, state="post_only", **facts)
        floor.run()
        refer("278.30")
        desk.step(now=world.NOW)
        floor.run()
        assert len(self.asks(floor)) == 3  # 278.53 and 278.64 would have traded
        book.refresh_from_db()
        trading.operations.change_state(book=book, state="online", **facts)
        floor.run()
        assert desk.step(now=world.NOW) == 1
        floor.run()
        assert Trade.objects.get().price == Decimal("278.70")
        assert desk.step(now=world.NOW) == 1  # for the fill
        floor.run()
        assert len(self.asks(floor)) == 5
        assert desk.step(now=world.NOW) == 0

    def test_what_the_house_has_no_means_for_is_not_asked_for_again_and_again(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        set_policy(sizes_usd=[900_000] * 5, quote_life_s=3600)  # of shares for $2,785,000
        refer("278.70")
        assert desk.step(now=world.NOW) == 1
        floor.run()
        assert len(self.asks(floor)) == 4
        assert desk.step(now=world.NOW) == 0


class TestConfirmations:
    """Quotes live for seconds: whoever stops the house's process stops its prices as well."""

    def hang(self, floor: "Floor", monkeypatch: pytest.MonkeyPatch, *, seconds: int) -> None:
        """Let so much of the engine's time pass in which the house says nothing."""
        MarketRule.objects.update(market_max_age_s=10 * seconds)
        now_us = floor.engine._now_us
        monkeypatch.setattr(floor.engine, "_now_us", lambda: now_us() + seconds * 1_000_000)

    def test_cost_one_command_a_step(self, floor: "Floor", desk: trading.operations.Desk) -> None:
        before = Command.objects.count()
        for _ in range(3):
            assert desk.step(now=world.NOW) == 0
            floor.run()
        sent = Command.objects.order_by("id")[before:]
        assert [(command.kind, command.result) for command in sent] == [("confirm", "accepted")] * 3

    def test_are_not_heaped_up_before_an_engine_that_hangs(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        for _ in range(3):
            desk.step(now=world.NOW)
        assert Command.objects.filter(kind="confirm", sequence=None).count() == 1

    def test_a_house_that_hangs_loses_its_quotes_and_nobody_trades_with_them(
        self, floor: "Floor", desk: trading.operations.Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice = world.alice()
        world.fund(alice, "10000")
        self.hang(floor, monkeypatch, seconds=3601)
        order = floor.place(alice, "buy", quantity="1")
        floor.run()
        order.refresh_from_db()
        assert (order.status, order.reason) == ("rejected", "no_liquidity")
        assert not Trade.objects.exists()
        assert list(find_breaks(queries.CHECKS)) == []
        assert desk.step(now=world.NOW) == 1  # it goes on, and quotes anew
        floor.run()
        assert best(floor.instrument, "sell") == FIRST_ASK

    def test_the_engine_withdraws_them_though_nobody_sends_anything(
        self, floor: "Floor", desk: trading.operations.Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hang(floor, monkeypatch, seconds=3601)
        floor.run()
        assert Command.objects.latest("id").kind == "clock"
        assert queries.house_levels([floor.instrument]) == {
            (floor.instrument.pk, side): [] for side in ("buy", "sell")
        }

    def test_an_engine_that_hung_carries_out_no_quote_of_before(
        self, floor: "Floor", desk: trading.operations.Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.hang(floor, monkeypatch, seconds=3601)
        refer("279.50")
        desk.step(now=world.NOW)
        floor.run()
        late = Command.objects.filter(result="rejected")
        assert {(one.kind, one.reason) for one in late} == {
            ("quote", "deadline"),
            ("confirm", "deadline"),
        }
        assert best(floor.instrument, "sell") is None

    def test_count_from_before_the_price_was_read(
        self, floor: "Floor", desk: trading.operations.Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        references, hour_us = market.references, 3600 * 10**6

        def slowly(instruments: list[Instrument]) -> dict[str, market.Reference]:
            Shard.objects.update(time_us=F("time_us") + 10 * hour_us)  # stopped, and woken again
            return references(instruments)

        refer("279.50")
        begun_us = Shard.objects.get().time_us
        monkeypatch.setattr(market, "references", slowly)
        desk.step(now=world.NOW)
        sent = Command.objects.filter(sequence=None)
        assert {command.kind for command in sent} == {"quote", "confirm"}
        assert all(command.payload["until"] < begun_us + 5 * hour_us for command in sent)

    def test_leave_out_what_the_house_doubts(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        refer("279.50")
        desk.step(now=world.NOW)
        Command.objects.filter(kind="confirm", sequence=None).delete()
        late = world.NOW + timedelta(seconds=31)
        assert desk.step(now=late) == 0  # its last quote still waits, at a price that is stale now
        floor.run()
        assert best(floor.instrument, "sell") is None
        assert desk.step(now=late) == 1

    def test_a_dealer_relies_on_no_quote_that_nobody_confirms(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        assert best(floor.instrument, "buy")
        Shard.objects.update(quotes_until_us=F("time_us"))
        assert best(floor.instrument, "buy") is None
        desk.step(now=world.NOW)
        floor.run()
        assert best(floor.instrument, "buy")


class TestHedges:
    clock: list[datetime]

    @pytest.fixture(autouse=True)
    def _stopped(self, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stop the engine's clock as well as the desk's."""
        self.clock = [world.NOW]
        told = lambda _engine: int(self.clock[0].timestamp() * 1_000_000)  # noqa: E731
        monkeypatch.setattr(trading.operations.Engine, "_now_us", told)
        set_policy(card_customer_usd=[100_000] * 3)

    def wait(self, floor: "Floor", seconds: int) -> datetime:
        """Let time pass for the engine, and give the new now."""
        self.clock[0] += timedelta(seconds=seconds)
        floor.run()
        return self.clock[0]

    def sell_to_dealer(self, floor: "Floor", shares: int) -> None:
        """Let Carol's card sell shares to the dealer."""
        carol = world.carol()
        world.give(carol, floor.instrument, str(shares))
        trading.operations.trade_with_house(
            customer=carol,
            instrument=floor.instrument,
            side="sell",
            quantity=shares * 10**8,
            price=Decimal("278.20"),
            now=world.NOW,
            key=f"card:{shares}",
        )

    def test_what_cards_sold_is_offered_inside_the_houses_spread(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 40)
        assert trading.operations.hedge_dealer(now=world.NOW) == 1
        floor.run()
        alice = world.alice()
        world.fund(alice, "100000")
        floor.place(alice, "buy", quantity="40")
        floor.run()
        trade = Trade.objects.get(venue="book")
        assert (trade.price, trade.quantity) == (Decimal("278.50"), 40 * 10**8)
        assert trade.sell_order.customer is None
        assert queries.dealer_positions(since=world.NOW) == {}
        assert list(find_breaks(queries.CHECKS)) == []

    def test_one_at_a_time_until_it_expires(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 40)
        trading.operations.hedge_dealer(now=world.NOW)
        assert trading.operations.hedge_dealer(now=world.NOW) == 0
        floor.run()
        hedge = Order.objects.latest("id")
        trading.operations.cancel_order(order=hedge, now=world.NOW)
        floor.run()
        assert trading.operations.hedge_dealer(now=world.NOW) == 1

    def test_stand_for_seconds_and_follow_the_price(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 40)
        told = []
        for price in ("278.50", "278.40", "278.60"):
            now = self.wait(floor, 6)
            refer(price, at=now)
            assert trading.operations.hedge_dealer(now=now) == 1
            floor.run()
            told.append(Order.objects.latest("id"))
        assert [order.limit_price for order in told] == [
            Decimal("278.50"),
            Decimal("278.40"),
            Decimal("278.60"),
        ]
        self.wait(floor, 6)
        told[-1].refresh_from_db()
        assert told[-1].status == "expired"

    def test_are_not_placed_by_an_engine_that_was_away(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 40)
        trading.operations.hedge_dealer(now=world.NOW)
        self.clock[0] += timedelta(minutes=1)
        floor.run()
        assert Order.objects.latest("id").reason == "expired"

    def test_bring_the_position_down_whatever_the_price_does(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 60)
        alice = world.alice()
        world.fund(alice, "100000")
        left = []
        for price in ("278.50", "277.90", "279.20"):
            now = self.wait(floor, 6)
            refer(price, at=now)
            desk.step(now=now)
            floor.run()
            trading.operations.hedge_dealer(now=now)
            floor.run()
            draft = floor.draft("buy", "market", quantity="15")
            trading.operations.place_order(draft=draft, customer=alice, now=now)
            floor.run()
            now = self.wait(floor, 6)
            left.append(queries.dealer_positions(since=world.NOW)[floor.instrument.pk])
        assert left == [45 * 10**8, 30 * 10**8, 15 * 10**8]

    def test_never_meet_the_houses_own_quotes(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 40)
        refer("270.00")  # far below the bids that still stand
        trading.operations.hedge_dealer(now=world.NOW)
        floor.run()
        assert not Trade.objects.filter(venue="book").exists()
        assert Order.objects.latest("id").reason == "self_trade"

    def test_small_positions_and_stale_prices_are_left(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        self.sell_to_dealer(floor, 10)  # $2,785
        assert trading.operations.hedge_dealer(now=world.NOW) == 0
        self.sell_to_dealer(floor, 30)
        assert trading.operations.hedge_dealer(now=world.NOW + timedelta(minutes=1)) == 0
        assert trading.operations.hedge_dealer(now=world.NOW) == 1


class TestTheDealersBid:
    def test_is_the_houses_less_what_the_dealer_bought_lately(
        self, floor: "Floor", desk: trading.operations.Desk
    ) -> None:
        def bid(now: datetime = world.NOW) -> tuple[Decimal, int]:
            room = queries.dealer_room(world.alice(), now=now)
            levels = queries.dealer_bid(floor.instrument, room, now=now)
            assert levels
            return levels[0]

        price, size = bid()
        carol = world.carol()
        world.give(carol, floor.instrument, "30")
        sell = {"customer": carol, "instrument": floor.instrument, "side": "sell"}
        trading.operations.trade_with_house(
            **sell, quantity=10**9, price=price, now=world.NOW, key="card:1"
        )
        assert bid() == (price, size - 10**9)
        trading.operations.trade_with_house(
            **sell, quantity=size - 10**9, price=price, now=world.NOW, key="card:2"
        )
        assert bid()[0] < price
        later = world.NOW + timedelta(seconds=61)
        refer("278.50", at=later)
        assert bid(later) == (price, size)


class TestRules:
    @given(
        position=st.decimals(-(10**6), 10**6, places=2).filter(bool),
        reference=st.decimals(Decimal("0.5"), 5000, places=2),
        slippage=st.integers(0, 50),
    )
    def test_a_hedge_concedes_no_more_than_the_slippage(
        self, position: Decimal, reference: Decimal, slippage: int
    ) -> None:
        ticks = rules.hedge_ticks(
            reference,
            tick=Decimal("0.01"),
            position_usd=position,
            full_usd=500_000,
            slippage_bp=slippage,
        )
        conceded = (reference - ticks * Decimal("0.01")) * (1 if position > 0 else -1)
        assert conceded <= reference * slippage / 10_000

    @given(
        sizes=st.lists(st.integers(1, 10**9), max_size=5),
        taken=st.lists(st.integers(0, 10**9), max_size=3),
    )
    def test_what_is_left_of_levels_is_what_was_not_taken(
        self, sizes: list[int], taken: list[int]
    ) -> None:
        levels = [(Decimal(100 - place), size) for place, size in enumerate(sizes)]
        left = levels
        for size in taken:
            left = rules.left_of(left, size)
        assert left == rules.left_of(levels, sum(taken))
        assert sum(size for _, size in left) == max(0, sum(sizes) - sum(taken))
        assert [price for price, _ in left] == [p for p, _ in levels][len(levels) - len(left) :]

    @given(
        position=st.decimals(-(10**7), 10**7, places=2),
        more=st.decimals(0, 10**6, places=2),
        reference=st.decimals(Decimal("0.5"), 5000, places=2),
    )
    def test_leaning_never_puts_a_bid_above_the_reference_or_an_ask_below(
        self, position: Decimal, more: Decimal, reference: Decimal
    ) -> None:
        def levels(held: Decimal) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
            lean = rules.lean(held, full_usd=500_000, skew=Decimal("0.75"), first_bp=8)
            return rules.house_levels(
                reference,
                tick=Decimal("0.01"),
                away_bp=[8, 12, 18],
                sizes_usd=[10, 20, 30],
                lean_bp=lean,
            )

        bids, asks = levels(position)
        longer_bids, longer_asks = levels(position + more)
        assert asks[0][0] * Decimal("0.01") >= reference
        assert not bids or bids[0][0] * Decimal("0.01") <= reference
        assert longer_asks[0] <= asks[0]
        assert not longer_bids or longer_bids[0] <= bids[0]
        assert [t for t, _ in asks] == sorted({t for t, _ in asks})
        assert [t for t, _ in bids] == sorted({t for t, _ in bids}, reverse=True)

    def test_a_leap_is_believed_only_where_it_stays(self) -> None:
        guard = rules.PriceGuard()
        told = [
            (0, "100"),
            (1, "109"),
            (2, "10900"),
            (3, "109"),
            (4, "50"),
            (20, "200"),
            (49, "51"),
        ]
        believed = [
            guard.believes(
                1,
                Decimal(price),
                jump_bp=1_000,
                calm_s=30,
                now=world.NOW + timedelta(seconds=second),
            )
            for second, price in told
        ]
        assert believed == [True, True, False, True, False, False, False]
        for price in ("0", "-1"):
            assert not guard.believes(1, Decimal(price), jump_bp=1_000, calm_s=30, now=world.NOW)
