from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client

import trading.operations
from common import realtime
from market import queries as market
from market.models import ReferencePrice
from tests import world
from trading.models import BandRule, Book, Command
from trading.operations import OrderDraft
from trading.operations.acceptance import MarketHalted
from trading.operations.markets import (
    HaltMeansLess,
    NoMultiplier,
    NothingChanges,
    require_multiplier,
)
from trading.queries import PriceStale
from users.models import AuditEntry, Proposal, User

if TYPE_CHECKING:
    from tests.trading.floor import Floor


def book_of(floor: "Floor") -> Book:
    return Book.objects.select_related("instrument").get(instrument=floor.instrument)


def steer(floor: "Floor", verb: str, **change: Any) -> Book:
    """Let Sam steer the floor's market, and the engine carry it out."""
    facts = {"actor": world.sam(), "reason": "because", "now": world.NOW}
    getattr(trading.operations, verb)(book=book_of(floor), **change, **facts)
    floor.run()
    return book_of(floor)


def sent(kind: str, **payload: Any) -> list[dict[str, Any]]:
    """List the payloads of what the engine was told of a kind."""
    found = Command.objects.filter(kind=kind, **{f"payload__{k}": v for k, v in payload.items()})
    return list(found.order_by("id").values_list("payload", flat=True))


def quote(floor: "Floor", price: str, **facts: Any) -> None:
    """Let the feed give another reference price."""
    realtime.connection().flushdb()
    told = {"price": Decimal(price), "day_open": Decimal(price), "at": world.NOW, **facts}
    ReferencePrice.objects.filter(instrument=floor.instrument).update(**told)


class TestChangeState:
    def test_halts_acceptance_by_name_once_the_engine_knows(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        assert steer(floor, "change_state", state="cancel_only").state == "cancel_only"
        with pytest.raises(MarketHalted) as refusal:
            floor.place(alice, "buy", quantity="1", limit_price="100")
        assert refusal.value.facts["state"] == "cancel_only"

    def test_the_engine_refuses_what_was_accepted_before(self, floor: "Floor") -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        facts = {"actor": world.sam(), "reason": "storm", "now": world.NOW}
        trading.operations.change_state(book=book_of(floor), state="maintenance", **facts)
        late = floor.place(alice, "buy", quantity="1", limit_price="100")
        floor.run()
        late.refresh_from_db()
        assert (late.status, late.reason) == ("rejected", "instrument_maintenance")

    def test_says_who_and_why_in_the_audit_trail(self, floor: "Floor") -> None:
        steer(floor, "change_state", state="post_only")
        entry = AuditEntry.objects.latest("id")
        assert (entry.actor, entry.action) == (world.sam(), "market.state_changed")
        assert entry.reason == "because"
        assert entry.detail == {"instrument": "AAPLx", "from": "online", "to": "post_only"}

    def test_is_shown_to_every_process_and_again_when_redis_has_forgotten(
        self, floor: "Floor"
    ) -> None:
        steer(floor, "change_state", state="limit_only")
        for _ in range(2):
            states = realtime.connection().hgetall(market.STATE_KEY)
            assert states == {b"AAPLx": b"limit_only"}
            realtime.connection().flushdb()
            floor.engine.publish_all()

    def test_refuses_what_changes_nothing(self, floor: "Floor") -> None:
        with pytest.raises(NothingChanges):
            steer(floor, "change_state", state="online")
        assert sent("state") == []


class TestChangeMultiplier:
    @pytest.mark.parametrize("multiplier", ["0", "-1", "NaN", "1e30", "1.0000000000000000001"])
    def test_refuses_what_is_none(self, multiplier: str) -> None:
        with pytest.raises(NoMultiplier):
            require_multiplier(Decimal(multiplier))


class TestBands:
    def test_are_sent_where_the_policy_says_so_and_once(self, floor: "Floor") -> None:
        trading.operations.steer_markets(now=world.NOW)
        floor.run()
        assert sent("band", instrument=floor.instrument.pk) == [
            {
                "instrument": floor.instrument.pk,
                "band_ppm": 50_000,
                "band_after_us": 15_000_000,
                "pause_us": 300_000_000,
            }
        ]
        assert trading.operations.steer_markets(now=world.NOW) == 0

    def test_are_not_sent_again_while_the_engine_has_not_seen_them(self, floor: "Floor") -> None:
        assert trading.operations.steer_markets(now=world.NOW) > 0
        assert trading.operations.steer_markets(now=world.NOW) == 0

    def test_follow_the_price_the_tier_and_new_policy(self, floor: "Floor") -> None:
        trading.operations.steer_markets(now=world.NOW)
        floor.run()
        assert book_of(floor).tier == 1
        steer(floor, "change_tier", tier=2)
        quote(floor, "2.99")
        trading.operations.steer_markets(now=world.NOW)
        floor.run()
        BandRule.objects.create(since=date(2026, 11, 20), tier=2, below_usd=3, width="0.3")
        trading.operations.steer_markets(now=world.NOW)
        widths = [payload["band_ppm"] for payload in sent("band", instrument=floor.instrument.pk)]
        assert widths == [50_000, 100_000, 200_000, 300_000]


class TestHours:
    def test_weeks_ahead_are_told_to_what_does_not_trade_always(self, floor: "Floor") -> None:
        trading.operations.steer_markets(now=world.NOW)
        floor.run()
        [told] = sent("hours")
        assert floor.instrument.pk not in told["instruments"]
        assert len(told["instruments"]) == Book.objects.filter(instrument__hours="24/5").count()
        opens, closes = told["spans"][0]
        assert opens < world.NOW.timestamp() * 1e6 < closes
        assert len(told["spans"]) == 4

    def test_are_told_again_before_they_end(self, floor: "Floor") -> None:
        trading.operations.steer_markets(now=world.NOW)
        floor.run()
        for days, told in ((6, 0), (14, 1)):
            later = world.NOW + timedelta(days=days)
            assert bool(trading.operations.steer_markets(now=later)) is bool(told)


class TestMarks:
    def stop(self, floor: "Floor") -> None:
        """Have Alice wait for the index price to fall."""
        alice = world.alice()
        world.give(alice, floor.instrument, "1")
        draft = OrderDraft(
            floor.instrument,
            "sell",
            "stop-loss",
            quantity=Decimal(1),
            trigger="index",
            trigger_price=Decimal(270),
        )
        trading.operations.place_order(draft=draft, customer=alice, now=world.NOW)
        floor.run()

    def test_nobody_waits_and_nothing_is_told(self, floor: "Floor") -> None:
        assert floor.engine.tell_marks(now=world.NOW) == 0
        assert sent("mark") == []

    def test_only_changed_prices_that_somebody_waits_for(self, floor: "Floor") -> None:
        self.stop(floor)
        for price in ("278.50", "278.50", "278.49"):
            quote(floor, price)
            floor.engine.tell_marks(now=world.NOW)
            floor.run()
        prices = [payload["prices"] for payload in sent("mark")]
        assert prices == [{str(floor.instrument.pk): ticks} for ticks in (27850, 27849)]

    @pytest.mark.parametrize(
        ("price", "age_s"), [("269", 31), ("269", -3), ("2.69", 0), ("27850", 0)]
    )
    def test_what_is_stale_or_absurd_fires_nothing(
        self, floor: "Floor", price: str, age_s: int
    ) -> None:
        self.stop(floor)
        floor.engine.tell_marks(now=world.NOW)
        floor.run()
        quote(floor, price, at=world.NOW - timedelta(seconds=age_s))
        assert floor.engine.tell_marks(now=world.NOW) == 0


class TestStalePrices:
    @pytest.mark.parametrize(
        ("price", "age_s"), [("278.50", 31), ("0.01", 0), ("2.70", 0), ("99999", 0)]
    )
    def test_stop_market_orders_and_no_others(self, floor: "Floor", price: str, age_s: int) -> None:
        alice = world.alice()
        world.fund(alice, "1000")
        floor.offer("10", "278.60")
        floor.place(alice, "buy", quantity="0.1", limit_price="278.60")
        floor.run()
        quote(floor, price, at=world.NOW - timedelta(seconds=age_s))
        with pytest.raises(PriceStale):
            floor.place(alice, "buy", quantity="0.1")
        assert floor.place(alice, "buy", quantity="0.1", limit_price="278.60").status == "pending"


class TestAdmin:
    def approve(self, desk: Client, person: User) -> None:
        desk.force_login(person)
        desk.post(f"/admin/users/proposal/{Proposal.objects.latest('id').pk}/approve/")

    def test_one_halts_a_market_and_two_open_it_again(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.oscar())
        page = f"/admin/trading/book/{book_of(floor).pk}"
        assert desk.get(f"{page}/halt/").status_code == 200
        assert desk.post(f"{page}/halt/", {"state": "cancel_only"}).status_code == 200  # no reason
        assert sent("state") == []
        desk.post(f"{page}/halt/", {"state": "cancel_only", "reason": "storm"})
        floor.run()
        assert book_of(floor).state == "cancel_only"
        desk.post(f"{page}/state/", {"state": "online", "reason": "calm"})
        floor.run()
        assert book_of(floor).state == "cancel_only"
        self.approve(desk, world.oscar())  # who proposed it
        floor.run()
        assert book_of(floor).state == "cancel_only"
        self.approve(desk, world.olivia())
        floor.run()
        assert book_of(floor).state == "online"

    def test_a_halt_opens_nothing(self, floor: "Floor") -> None:
        steer(floor, "change_state", state="maintenance")
        for state in ("cancel_only", "maintenance"):
            with pytest.raises(HaltMeansLess):
                steer(floor, "halt_market", state=state)

    def test_two_change_a_tier(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.oscar())
        desk.post(f"/admin/trading/book/{book_of(floor).pk}/tier/", {"tier": "2", "reason": "thin"})
        assert book_of(floor).tier == 1
        self.approve(desk, world.olivia())
        assert book_of(floor).tier == 2

    @pytest.mark.parametrize("verb", ["halt", "state", "tier"])
    def test_support_may_not(self, floor: "Floor", verb: str) -> None:
        desk = Client()
        desk.force_login(world.sam())
        page = f"/admin/trading/book/{book_of(floor).pk}/{verb}/"
        facts = {"state": "cancel_only", "tier": "2", "reason": "fun"}
        assert desk.post(page, facts).status_code == 403
        assert not Proposal.objects.exists()

    def test_customers_may_not(self, floor: "Floor") -> None:
        desk = Client()
        desk.force_login(world.alice())
        assert desk.get(f"/admin/trading/book/{book_of(floor).pk}/state/").status_code == 302
