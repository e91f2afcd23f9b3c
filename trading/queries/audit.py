"""What `audit_books` proves of orders, commands and trades; numbers as in docs/invariants.md."""

import ledger.queries
from common.invariants import Check
from trading.queries.command_checks import COMMANDS
from trading.queries.order_checks import ORDERS

TRADES = [
    ledger.queries.explained(by="trading_explained", kinds=["trade"]),
    Check(
        22,
        "a trade has two opposite sides of two customers",
        """
        SELECT format('trade %s', t.id)
        FROM trading_trade t
        JOIN trading_order b ON b.id = t.buy_order_id
        JOIN trading_order s ON s.id = t.sell_order_id
        WHERE b.side <> 'buy' OR s.side <> 'sell' OR b.instrument_id <> t.instrument_id
           OR s.instrument_id <> t.instrument_id OR b.customer_id = s.customer_id
           OR b.venue <> t.venue OR s.venue <> t.venue
        """,
    ),
    Check(
        22,
        "a trade's cost and fees follow from its price",
        """
        SELECT format('trade %s: cost %s, fees %s and %s', t.id, t.cost, t.buy_fee, t.sell_fee)
        FROM trading_trade t
        JOIN trading_order b ON b.id = t.buy_order_id
        JOIN trading_order s ON s.id = t.sell_order_id
        WHERE t.cost <> floor(t.price * t.quantity * t.multiplier / 100)
           OR t.buy_fee <> trunc(t.cost * CASE t.maker_side WHEN 'buy' THEN b.maker_rate
                                                           ELSE b.taker_rate END)
           OR t.sell_fee <> trunc(t.cost * CASE t.maker_side WHEN 'sell' THEN s.maker_rate
                                                            ELSE s.taker_rate END)
        """,
    ),
    Check(
        41,
        "one person halts a market, two open it",
        """
        SELECT format('audit entry %s: one person made a market %s', entry.id,
                      entry.detail ->> 'to')
        FROM users_auditentry entry
        WHERE entry.action = 'market.state_changed'
          AND entry.detail ->> 'to' NOT IN ('cancel_only', 'maintenance')
          AND NOT EXISTS (
            SELECT FROM users_proposal
            WHERE status = 'executed' AND kind = 'trading.change_state'
              AND decided_by_id = entry.actor_id AND decided_at = entry.at
          ) AND NOT EXISTS (
            SELECT FROM instruments_corporateaction WHERE done_at = entry.at
          )
        """,
    ),
    Check(
        42,
        "every trade and every new multiplier belongs to a corporate action",
        """
        SELECT format('command %s sets a multiplier that no corporate action explains', id)
        FROM trading_command c
        WHERE kind = 'multiplier' AND result = 'accepted' AND NOT EXISTS (
            SELECT FROM instruments_corporateaction
            WHERE instrument_id = (c.payload->>'instrument')::bigint
              AND status IN ('ordered', 'done')
              AND multiplier_after * 1000000000000000000 = (c.payload->>'multiplier_e18')::numeric
        )
        UNION ALL
        SELECT format('trade %s of %s counts by %s', t.id, t.executed_at, trim_scale(t.multiplier))
        FROM trading_trade t
        WHERE t.multiplier <> coalesce((
            SELECT multiplier_after FROM instruments_corporateaction
            WHERE instrument_id = t.instrument_id AND ordered_at <= t.executed_at
            ORDER BY ordered_at DESC LIMIT 1
        ), 1)
        """,
    ),
    Check(
        23,
        "a settled trade has its journal, and no other trade has one",
        """
        SELECT format('trade %s is %s and its journal is %s', t.id,
                      CASE WHEN t.settled_at IS NULL THEN 'unsettled' ELSE 'settled' END,
                      coalesce(j.key, 'missing'))
        FROM trading_trade t LEFT JOIN ledger_journal j ON j.key = 'trade:' || t.uid
        WHERE (t.settled_at IS NULL) <> (j.id IS NULL)
        """,
    ),
    Check(
        24,
        "a release is consumed by one hold entry of its amount",
        """
        SELECT format('release %s of %s was consumed by an entry of %s', r.id, r.amount, e.delta)
        FROM trading_release r
        JOIN trading_order o ON o.id = r.order_id
        JOIN ledger_holdentry e ON e.id = r.consumed_by_id
        WHERE e.delta <> -r.amount OR e.hold_id <> o.hold_id OR e.journal_id IS NOT NULL
        """,
    ),
    Check(
        25,
        "trades and releases are settled within a minute",
        """
        SELECT format('trade %s of %s is not settled: %s', id, executed_at,
                      CASE held_back WHEN '' THEN 'late' ELSE held_back END)
        FROM trading_trade
        WHERE settled_at IS NULL
          AND (held_back <> '' OR executed_at < clock_timestamp() - interval '60 seconds')
        UNION ALL
        SELECT format('release %s is late', r.id)
        FROM trading_release r JOIN trading_command c ON c.sequence = r.sequence
        WHERE r.consumed_by_id IS NULL
          AND to_timestamp(c.engine_time_us / 1e6) < clock_timestamp() - interval '60 seconds'
        """,
    ),
]

HOUSE = [
    Check(
        44,
        "the dealer takes from cards no more than its limits",
        """
        WITH bought AS (
            SELECT t.instrument_id, o.customer_id, t.cost, w.*, date_bin(
                       make_interval(secs => w.seconds), t.executed_at, 'epoch') AS bin
            FROM trading_trade t
            JOIN trading_order o ON o.id = t.sell_order_id
            CROSS JOIN LATERAL (
                SELECT * FROM trading_housepolicy
                WHERE since <= (t.executed_at AT TIME ZONE 'UTC')::date
                ORDER BY since DESC LIMIT 1
            ) AS policy
            CROSS JOIN LATERAL unnest(card_intervals_s, card_customer_usd, card_instrument_usd,
                                      card_total_usd)
                AS w(seconds, customer_usd, instrument_usd, total_usd)
            WHERE t.venue = 'house' AND t.maker_side = 'buy'
        )
        SELECT format('the dealer bought for %s USD units in %s s from %s: %s, above $%s',
                      sum(cost), seconds, bin, scope.name, max(scope.usd))
        FROM bought
        CROSS JOIN LATERAL (VALUES
            ('customer ' || customer_id, customer_usd),
            ('instrument ' || instrument_id, instrument_usd),
            ('in all', total_usd)
        ) AS scope(name, usd)
        GROUP BY seconds, bin, scope.name
        HAVING sum(cost) > max(scope.usd) * 1000000::bigint
        """,
    ),
]

CHECKS = [*ORDERS, *COMMANDS, *TRADES, *HOUSE]
