from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from django.db import connections

import trading.operations
from common.invariants import find_breaks
from tests import arms, world
from trading.queries import CHECKS

if TYPE_CHECKING:
    from tests.trading.floor import Floor

COUNTED_BY = (
    "UPDATE trading_trade SET multiplier = {0};"
    "UPDATE trading_order SET multiplier = {0} WHERE type <> 'quote';"
)
# For each check, a statement of the owner that breaks it and nothing that it presupposes.
BREAKS = {
    "an order's hold is its open budget and what is still due of it": (
        "UPDATE trading_order SET budget = budget + 1 WHERE status = 'open' AND type = 'limit'"
    ),
    "a finished order has no budget left": (
        "UPDATE trading_order SET budget = 5 WHERE status = 'filled' AND venue = 'book'"
    ),
    "an order on the book has a hold of its own account": (
        "UPDATE trading_order SET hold_id = NULL WHERE status = 'open' AND type = 'limit'"
    ),
    "an order is the sum of its trades": (
        "UPDATE trading_order SET cost = cost + 1 WHERE status = 'filled'"
    ),
    "an order is filled when nothing remains": (
        "UPDATE trading_order SET status = 'filled', closed_at = now()"
        " WHERE status = 'open' AND type = 'limit'"
    ),
    "no trade is beyond its limit": (
        "UPDATE trading_order SET worst_price = 1 WHERE status = 'filled' AND side = 'buy'"
    ),
    "an order is closed when it is done": (
        "UPDATE trading_order SET closed_at = NULL WHERE status = 'filled'"
    ),
    "an order with a trigger trades only once it has fired": (
        "UPDATE trading_order SET filled = 1 WHERE status = 'open' AND type = 'stop-loss'"
    ),
    "an order fired because a price had reached its trigger": (
        "UPDATE trading_order SET engine_state = jsonb_set(engine_state, '{triggered}', 'true')"
        " WHERE status = 'open' AND type = 'stop-loss'"
    ),
    "an order whose trigger was reached has fired": (
        "UPDATE trading_order"
        " SET engine_state = jsonb_set(engine_state, '{trigger_price}', '50000')"
        " WHERE status = 'open' AND type = 'stop-loss'"
    ),
    "an order's status follows from what happened to it": (
        "UPDATE trading_order SET status = 'pending' WHERE status = 'open' AND type = 'limit'"
    ),
    "what may not rest does not": (
        "UPDATE trading_order SET time_in_force = 'ioc' WHERE status = 'open' AND type = 'limit'"
    ),
    "a dead-man switch past due has left nothing open": (
        "UPDATE trading_participant SET cancel_all_at_us = 1"
    ),
    "fill-or-kill is all or nothing": (
        "UPDATE trading_order SET time_in_force = 'fok' WHERE status = 'partially_filled'"
    ),
    "post-only never takes": (
        "UPDATE trading_order SET post_only = true WHERE status = 'filled' AND side = 'buy'"
    ),
    "prices are on their tick": (
        "UPDATE trading_order SET limit_price = 1.001 WHERE status = 'open' AND type = 'limit'"
    ),
    "an iceberg shows its display and no more": (
        "UPDATE trading_order SET display_quantity = 1 WHERE type = 'iceberg'"
    ),
    "no waiting order is below the minimum": (
        "UPDATE trading_order SET quantity = 1 WHERE status = 'open' AND type = 'limit'"
    ),
    "each settled fill of an order with a close has one close of its size": (
        "UPDATE trading_order SET quantity = quantity + 1 WHERE closes_id IS NOT NULL"
    ),
    "a customer's executions are counted up to the last": (
        "UPDATE trading_participant SET executions = executions + 1"
    ),
    "sequences are dense and time never falls": (
        "UPDATE trading_command SET engine_time_us = 1 WHERE sequence = 2"
    ),
    "commands are sequenced soon, and have an outcome": (
        "UPDATE trading_command SET result = '' WHERE sequence = 1"
    ),
    "what waited too long, and nothing else, is refused for its age": (
        "UPDATE trading_command SET stale_at = 'epoch' WHERE sequence = 2"
    ),
    "a command that an engine never took was about an order that none has": (
        "UPDATE trading_order SET engine_state = '{\"id\": 1}' WHERE engine_state = '{}'"
    ),
    "each order on the book has one place command": (
        "UPDATE trading_command SET kind = 'cancel' WHERE kind = 'place'"
    ),
    "books are uncrossed": (
        "UPDATE trading_order SET engine_state = jsonb_set(engine_state, '{price}', '99999999')"
        " WHERE status = 'open' AND side = 'buy' AND type = 'limit'"
    ),
    "no order is open across a change of the multiplier": (
        "UPDATE trading_command SET kind = 'multiplier', sequence = sequence + 500"
        " WHERE kind = 'quote'"
    ),
    "trades, instruments and books count by the multiplier in force": COUNTED_BY.format(2),
    "queue positions are unique": (
        "UPDATE trading_order SET engine_state = jsonb_set(engine_state, '{priority}', '1')"
        " WHERE type = 'limit'"
    ),
    "a trade has two opposite sides of two customers": (
        "UPDATE trading_trade SET buy_order_id = sell_order_id, sell_order_id = buy_order_id"
    ),
    "a trade's cost and fees follow from its price": (
        "UPDATE trading_trade SET sell_fee = sell_fee + 1"
    ),
    "one person halts a market, two open it": (
        "INSERT INTO users_auditentry (at, action, reason, detail)"
        " VALUES (now(), 'market.state_changed', '', '{\"to\": \"online\"}')"
    ),
    "every trade and every new multiplier belongs to a corporate action": (
        "UPDATE trading_trade SET multiplier = 3"
    ),
    "a settled trade has its journal, and no other trade has one": (
        "UPDATE trading_trade SET settled_at = NULL"
    ),
    "journals are explained by trading_explained": "UPDATE trading_trade SET buy_fee = buy_fee + 1",
    "a release is consumed by one hold entry of its amount": (
        "UPDATE trading_release SET amount = amount + 1 WHERE consumed_by_id IS NOT NULL"
    ),
    "trades and releases are settled within a minute": (
        "UPDATE trading_trade SET held_back = 'a reason', settled_at = NULL"
    ),
    "the dealer takes from cards no more than its limits": (
        "UPDATE trading_housepolicy SET card_instrument_usd = '{2,2,2}'"
    ),
}

LATER_SPLIT = (
    "UPDATE trading_command SET kind = 'multiplier', result = 'accepted', payload = payload"
    " || '{\"multiplier_e18\": 4000000000000000000}', sequence = sequence + 500"
    " WHERE kind = 'quote'"
)
# Each further way to break a check.
OTHER_ARMS = [
    (
        "an order is filled when nothing remains",
        (
            "UPDATE trading_order SET filled = 0, notional = NULL, quantity = 0"
            " WHERE status = 'filled' AND venue = 'book'"
        ),
    ),
    (
        "an order is filled when nothing remains",
        "UPDATE trading_order SET notional = cost - 1 WHERE notional IS NOT NULL AND side = 'buy'",
    ),
    (
        "an order is filled when nothing remains",
        (
            "UPDATE trading_order SET filled = 1, status = 'filled'"
            " WHERE status = 'open' AND side = 'buy' AND type = 'limit'"
        ),
    ),
    (
        "an order is filled when nothing remains",
        (
            "UPDATE trading_order SET filled = quantity + 1"
            " WHERE status = 'open' AND side = 'buy' AND type = 'limit'"
        ),
    ),
    (
        "an order whose trigger was reached has fired",
        (
            "UPDATE trading_order"
            " SET engine_state = jsonb_set(engine_state, '{take_profit_price}', '1')"
            " WHERE status = 'open' AND type = 'stop-loss'"
        ),
    ),
    *(
        ("an order's status follows from what happened to it", change)
        for change in (
            "UPDATE trading_trade SET executed_at = executed_at + interval '1 day'",
            (
                "UPDATE trading_command SET result = 'withdrawn', sequence = NULL"
                " WHERE kind = 'place' AND order_id IN"
                " (SELECT id FROM trading_order WHERE status = 'filled')"
            ),
            (
                "UPDATE trading_order SET status = 'rejected'"
                " WHERE status = 'cancelled' AND engine_state <> '{}'"
            ),
            "UPDATE trading_order SET filled = 1 WHERE status = 'open' AND type = 'limit'",
            "UPDATE trading_order SET filled = 0 WHERE status = 'filled'",
            (
                "UPDATE trading_order SET status = 'expired'"
                " WHERE status = 'cancelled' AND engine_state <> '{}'"
            ),
        )
    ),
    *(
        ("what may not rest does not", change)
        for change in (
            (
                "UPDATE trading_order SET time_in_force = 'gtd',"
                " expires_at = now() - interval '1 day' WHERE status = 'open' AND type = 'limit'"
            ),
            "UPDATE trading_order SET type = 'market' WHERE status = 'open' AND type = 'limit'",
            (
                "UPDATE trading_order SET engine_state = engine_state || '{\"triggered\": true}'"
                " WHERE status = 'open' AND type = 'stop-loss'"
            ),
        )
    ),
    ("prices are on their tick", "UPDATE trading_trade SET price = price + 0.001"),
    *(
        ("an iceberg shows its display and no more", change)
        for change in (
            "UPDATE trading_order SET quantity = 16 * display_quantity WHERE type = 'iceberg'",
            (
                "UPDATE trading_order SET engine_state = engine_state || jsonb_build_object("
                "'displayed', display_quantity + 1) WHERE type = 'iceberg'"
            ),
        )
    ),
    *(
        ("each settled fill of an order with a close has one close of its size", change)
        for change in (
            "UPDATE trading_order SET closes_id = NULL WHERE closes_id IS NOT NULL",
            "UPDATE trading_order SET side = 'buy' WHERE closes_id IS NOT NULL",
            (
                "UPDATE trading_order c SET customer_id = o.customer_id FROM trading_order o"
                " WHERE c.closes_id IS NOT NULL AND o.customer_id <> c.customer_id"
            ),
            (
                "UPDATE trading_order SET instrument_id ="
                " (SELECT id FROM instruments_instrument WHERE symbol = 'TSLAx')"
                " WHERE closes_id IS NOT NULL"
            ),
            "UPDATE trading_trade SET quantity = quantity + 1",
        )
    ),
    *(
        ("sequences are dense and time never falls", change)
        for change in (
            "UPDATE trading_shard SET sequence = sequence + 1",
            "UPDATE trading_command SET sequence = NULL, engine_time_us = NULL WHERE sequence = 1",
            "UPDATE trading_command SET sequence = NULL, engine_time_us = NULL WHERE sequence = 2",
            "UPDATE trading_command SET engine_time_us = NULL WHERE sequence = 2",
        )
    ),
    *(
        ("commands are sequenced soon, and have an outcome", change)
        for change in (
            (
                "UPDATE trading_command SET created_at = now() - interval '1 hour',"
                " sequence = NULL, result = '' WHERE kind = 'place'"
            ),
            "UPDATE trading_command SET sequence = NULL WHERE kind = 'place'",
        )
    ),
    *(
        ("a command that an engine never took was about an order that none has", change)
        for change in (
            (
                "UPDATE trading_order SET status = 'pending', closed_at = NULL"
                " WHERE engine_state = '{}'"
            ),
            "UPDATE trading_order SET filled = 1 WHERE engine_state = '{}'",
        )
    ),
    (
        "books are uncrossed",
        (
            "UPDATE trading_order SET side = 'buy', type = 'take-profit-limit', trigger = 'last',"
            ' engine_state = engine_state || \'{"price": 99999999, "triggered": true}\''
            " WHERE status = 'open' AND type = 'limit'"
        ),
    ),
    (
        "books are uncrossed",
        (
            "UPDATE trading_order SET engine_state = engine_state || '{\"levels\": [[1, 5, 7]]}'"
            " WHERE type = 'quote' AND side = 'sell'"
        ),
    ),
    (
        "queue positions are unique",
        (
            "UPDATE trading_order SET engine_state = engine_state"
            " || '{\"levels\": [[1, 5, 7], [2, 5, 7]]}' WHERE type = 'quote'"
        ),
    ),
    (
        "no order is open across a change of the multiplier",
        (
            "UPDATE trading_command SET kind = 'multiplier', sequence = sequence + 500"
            " WHERE kind = 'quote'; DELETE FROM trading_command WHERE order_id IN"
            " (SELECT id FROM trading_order WHERE closed_at IS NULL);"
            " UPDATE trading_order SET closed_at = closed_at + interval '1 year'"
        ),
    ),
    (
        "trades, instruments and books count by the multiplier in force",
        "UPDATE instruments_instrument SET multiplier = 2 WHERE symbol = 'AAPLx'",
    ),
    (
        "trades, instruments and books count by the multiplier in force",
        COUNTED_BY.format(4) + LATER_SPLIT,
    ),
    (
        "trades, instruments and books count by the multiplier in force",
        "UPDATE trading_order SET multiplier = 2 WHERE type <> 'quote'",
    ),
    *(
        ("a trade has two opposite sides of two customers", change)
        for change in (
            (
                "UPDATE trading_order o SET side = 'sell' FROM trading_trade t"
                " WHERE t.buy_order_id = o.id"
            ),
            (
                "UPDATE trading_order o SET side = 'buy' FROM trading_trade t"
                " WHERE t.sell_order_id = o.id"
            ),
            (
                "UPDATE trading_order o SET instrument_id ="
                " (SELECT id FROM instruments_instrument WHERE symbol = 'TSLAx')"
                " FROM trading_trade t WHERE t.buy_order_id = o.id"
            ),
            (
                "UPDATE trading_order o SET instrument_id ="
                " (SELECT id FROM instruments_instrument WHERE symbol = 'TSLAx')"
                " FROM trading_trade t WHERE t.sell_order_id = o.id"
            ),
            (
                "UPDATE trading_order s SET customer_id = b.customer_id"
                " FROM trading_trade t JOIN trading_order b ON b.id = t.buy_order_id"
                " WHERE t.sell_order_id = s.id"
            ),
            (
                "UPDATE trading_order o SET venue = 'other' FROM trading_trade t"
                " WHERE t.buy_order_id = o.id"
            ),
            (
                "UPDATE trading_order o SET venue = 'other' FROM trading_trade t"
                " WHERE t.sell_order_id = o.id"
            ),
        )
    ),
    *(
        ("a trade's cost and fees follow from its price", change)
        for change in (
            # The smallest cost error whose fees, a thousandth, round to what they were.
            "UPDATE trading_trade SET cost = cost + 1",
            "UPDATE trading_trade SET buy_fee = buy_fee + 1",
        )
    ),
    (
        "every trade and every new multiplier belongs to a corporate action",
        (
            "UPDATE trading_command SET kind = 'multiplier', result = 'accepted',"
            " payload = payload || '{\"multiplier_e18\": 4000000000000000000}' WHERE kind = 'quote'"
        ),
    ),
    *(
        ("journals are explained by trading_explained", change)
        for change in arms.unexplained("trade")
    ),
    *(
        ("a release is consumed by one hold entry of its amount", change)
        for change in (
            (
                "UPDATE trading_release r SET order_id ="
                " (SELECT min(id) FROM trading_order o WHERE o.hold_id IS NOT NULL"
                "  AND o.id <> r.order_id) WHERE consumed_by_id IS NOT NULL"
            ),
            (
                "ALTER TABLE ledger_holdentry DISABLE TRIGGER USER;"
                "UPDATE ledger_holdentry e SET journal_id = (SELECT min(id) FROM ledger_journal)"
                " FROM trading_release r WHERE r.consumed_by_id = e.id"
            ),
        )
    ),
    *(
        ("trades and releases are settled within a minute", change)
        for change in (
            (
                "UPDATE trading_trade SET held_back = 'a reason', settled_at = NULL,"
                " executed_at = clock_timestamp()"
            ),
            (
                "UPDATE trading_trade SET settled_at = NULL,"
                " executed_at = clock_timestamp() - interval '61 seconds'"
            ),
            (
                "UPDATE trading_release SET consumed_by_id = NULL;"
                "UPDATE trading_command SET engine_time_us = engine_time_us - 61000000"
            ),
        )
    ),
]
# What only looks like a break.
HARMLESS = [
    *(
        (
            "an order fired because a price had reached its trigger",
            (
                "UPDATE trading_order SET engine_state ="
                f' engine_state || \'{{"triggered": true, "{trigger}": {ticks}}}\''
                " WHERE status = 'open' AND type = 'stop-loss'"
            ),
        )
        for trigger, ticks in (("trigger_price", 50_000), ("take_profit_price", 1))
    ),
    *(
        (
            "an order fired because a price had reached its trigger",
            (
                "UPDATE trading_command SET kind = 'mark', payload = jsonb_build_object('prices',"
                f" jsonb_build_object(payload->>'instrument', {ticks})) WHERE kind = 'quote';"
                "UPDATE trading_order SET trigger = 'index',"
                " engine_state = engine_state || '{\"triggered\": true}'"
                " WHERE status = 'open' AND type = 'stop-loss'"
            ),
        )
        for ticks in (25_000, 30_000)
    ),
    ("trades, instruments and books count by the multiplier in force", LATER_SPLIT),
]


@pytest.fixture
def busy_floor(transactional_db: None, friday: None) -> "Floor":
    """A book with a quote, resting orders of two customers, a fill and a release."""
    from tests.trading.floor import Floor  # noqa: PLC0415

    floor = Floor()
    world.stock_house(floor.instrument)
    alice = world.alice()
    world.fund(alice, "10000")
    floor.offer("10", "278.55")
    floor.offer("5", "281")
    floor.place(alice, "buy", notional="25")
    floor.place(alice, "buy", quantity="1", limit_price="270")
    gone = floor.place(alice, "buy", quantity="1", limit_price="260")
    floor.ask(alice, "buy", "iceberg", quantity="1", limit_price="265", display_quantity="0.1")
    floor.ask(
        alice,
        "buy",
        "limit",
        quantity="0.5",
        limit_price="278.60",
        close=trading.operations.Close(stop_loss=Decimal(250), take_profit=Decimal(300)),
    )
    floor.run()
    gone.refresh_from_db()
    trading.operations.cancel_order(order=gone, now=world.NOW)
    unsequenced = floor.place(alice, "buy", quantity="1", limit_price="250")
    trading.operations.cancel_order(order=unsequenced, now=world.NOW)
    trading.operations.Desk().step(now=world.NOW)
    trading.operations.trade_with_house(
        customer=alice,
        instrument=floor.instrument,
        side="sell",
        quantity=1_000_000,
        price=Decimal("278.40"),
        now=world.NOW,
        key="tap",
    )
    floor.run()
    return floor


@pytest.mark.django_db(transaction=True, databases=["default", "owner"])
class TestAudit:
    def test_clean_books_break_nothing(self, busy_floor: "Floor") -> None:
        assert list(find_breaks(CHECKS)) == []

    def test_every_check_has_its_planted_break(self) -> None:
        assert set(BREAKS) == {check.name for check in CHECKS if check.sql}

    @pytest.mark.parametrize(
        "broken",
        [
            "UPDATE instruments_instrument SET multiplier = 2 WHERE symbol = 'AAPLx'",
            "UPDATE trading_shard SET purged_sequence = 1",
            "DELETE FROM trading_command WHERE kind = 'quote'",
            "UPDATE trading_order SET engine_state = engine_state || '{\"priority\": 99}'",
        ],
    )
    def test_reports_each_other_break_of_the_log(self, busy_floor: "Floor", broken: str) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute(broken)
        found = {one.check for one in find_breaks(CHECKS)}
        assert found & {check.name for check in CHECKS if check.number in {18, 20, 21}}

    def test_reports_each_planted_break_by_every_arm(self, busy_floor: "Floor") -> None:
        told = [check for check in CHECKS if check.sql]
        lost = arms.unnoticed(told, [*BREAKS.items(), *OTHER_ARMS], HARMLESS)
        assert not lost, "\n".join(lost)
