"""A clock that jumps ten minutes: the engine's time never goes back, and nothing acts too early.

The engine reads the database's clock once, when it begins, and the monotonic clock since; sessions
and prices are told to it by processes that read the wall clock. All three are set by hand here. The
database's is a function of the same name that its own search path finds first.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections

import trading.operations
from common import clock
from krakapp import database
from tests import world
from tests.proof import proof_of_the_test_bed
from tests.trading.floor import Floor
from trading.models import Command, Order
from trading.operations import log, matching

TEN = timedelta(minutes=10)
OPEN = datetime(2026, 11, 20, 15, tzinfo=UTC)  # world.NOW: a Friday
CLOSING = datetime(2026, 11, 21, 1, tzinfo=UTC)  # 20:00 in New York
jumps = pytest.mark.parametrize("jump", [TEN, -TEN], ids=["forward", "back"])

SHADOW = """
CREATE SCHEMA shadow;
GRANT USAGE ON SCHEMA shadow TO PUBLIC;
CREATE FUNCTION shadow.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT current_setting('shadow.clock')::timestamptz $$;
"""

SET_CLOCK = "SELECT set_config('shadow.clock', %s, false)"

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])


class Clocks:
    """The wall's, the database's, and the one that only counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = self.database = OPEN
        self.ahead_ns = 0
        count = time.monotonic_ns
        fake = type("Time", (), {"monotonic": time.monotonic, "monotonic_ns": self._monotonic_ns})
        self._count = count
        monkeypatch.setattr(matching, "time", fake)
        monkeypatch.setattr(clock, "now", lambda: self.wall)

    def _monotonic_ns(self) -> int:
        return self._count() + self.ahead_ns

    def jump(self, by: timedelta) -> None:
        """Set the wall's and the database's clock by hand: no time passes."""
        self.wall += by
        self.database += by

    def let_pass(self, span: timedelta) -> None:
        """Let time pass, on all of them."""
        self.jump(span)
        self.ahead_ns += int(span.total_seconds() * 10**9)


@pytest.fixture
def clocks(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    config = connections["owner"].settings_dict
    with database.connect(config) as owner:
        owner.execute(SHADOW)
    try:
        yield Clocks(monkeypatch)
    finally:
        connection.close()
        with database.connect(config) as owner:
            owner.execute("DROP SCHEMA shadow CASCADE")


@pytest.fixture
def floor(clocks: Clocks) -> Floor:
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = shadow, pg_catalog, public")
        cursor.execute(SET_CLOCK, [clocks.database.isoformat()])
    floor = Floor()
    world.fund(world.alice(), "10000")
    return floor


def begin_anew(floor: Floor, clocks: Clocks) -> None:
    """Let another engine take over, by the database's clock as it stands."""
    floor.engine.release()
    with connection.cursor() as cursor:
        cursor.execute(SET_CLOCK, [clocks.database.isoformat()])
    floor.engine = trading.operations.Engine("main")


def engine_time(floor: Floor) -> datetime:
    return log.moment(floor.engine._now_us())


def near(one: datetime, other: datetime) -> bool:
    """Say whether two times are the same but for the time this test itself takes."""
    return abs(one - other) < timedelta(minutes=1)


def rest(floor: Floor, **terms: Any) -> Order:
    order = floor.ask(world.alice(), "buy", "limit", quantity="1", limit_price="270", **terms)
    floor.run()
    return order


def status(order: Order) -> str:
    order.refresh_from_db()
    return order.status


class TestTheEnginesTime:
    @jumps
    def test_never_goes_back(self, floor: Floor, clocks: Clocks, jump: timedelta) -> None:
        for _ in range(3):
            rest(floor)
            clocks.jump(jump)
            begin_anew(floor, clocks)
        rest(floor)
        times = list(
            Command.objects.exclude(sequence=None)
            .order_by("sequence")
            .values_list("engine_time_us", flat=True)
        )
        assert times == sorted(times)
        proof_of_the_test_bed().manage("replay_commands")

    @jumps
    def test_follows_no_clock_while_it_runs(
        self, floor: Floor, clocks: Clocks, jump: timedelta
    ) -> None:
        clocks.jump(jump)
        assert near(engine_time(floor), OPEN)

    def test_waits_for_a_clock_that_was_set_back(self, floor: Floor, clocks: Clocks) -> None:
        clocks.jump(TEN)
        begin_anew(floor, clocks)
        rest(floor)
        clocks.jump(-TEN)
        begin_anew(floor, clocks)
        assert near(engine_time(floor), OPEN + TEN)
        clocks.let_pass(TEN)
        assert near(engine_time(floor), clocks.wall + TEN / 2)
        clocks.let_pass(TEN)
        assert near(engine_time(floor), clocks.wall)
        clocks.let_pass(TEN)
        assert near(engine_time(floor), clocks.wall)


@jumps
class TestNothingActsTooEarly:
    def test_an_order_good_till_a_time(self, floor: Floor, clocks: Clocks, jump: timedelta) -> None:
        order = rest(floor, time_in_force="gtd", expires_at=OPEN + TEN)
        clocks.jump(jump)
        clocks.let_pass(TEN / 2)
        floor.run()
        assert status(order) == "open"
        clocks.let_pass(TEN)
        floor.run()
        assert status(order) == "expired"

    def test_a_dead_man_switch(self, floor: Floor, clocks: Clocks, jump: timedelta) -> None:
        order = rest(floor)
        set_switch = trading.operations.cancel_orders_after
        set_switch(customer=world.alice(), timeout_s=600, now=clocks.wall)
        floor.run()
        clocks.jump(jump)
        clocks.let_pass(TEN / 2)
        floor.run()
        assert status(order) == "open"
        clocks.let_pass(TEN)
        floor.run()
        assert status(order) == "cancelled"

    def test_a_session(self, floor: Floor, clocks: Clocks, jump: timedelta) -> None:
        share = world.instrument("MCDx")  # trades from Sunday to Friday
        assert share.hours == "24/5"
        clocks.let_pass(CLOSING - OPEN - TEN / 2)
        clocks.jump(jump)
        trading.operations.steer_markets(now=clocks.wall)
        floor.run()
        book = floor.engine.core.shard.books[share.pk]
        assert not book.state.closed
        clocks.let_pass(TEN)
        trading.operations.steer_markets(now=clocks.wall)
        floor.run()
        assert book.state.closed
