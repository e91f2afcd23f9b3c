"""What `audit_books` proves of orders, commands and trades; numbers as in docs/invariants.md."""

from common.invariants import Check
from trading.queries.order_checks import ORDERS

COMMANDS = [
    Check(
        18,
        "sequences are dense and time never falls",
        """
        SELECT format('shard %s is at %s, its log has %s commands from %s to %s', s.name,
                      s.sequence, log.commands, log.first, log.last)
        FROM trading_shard s
        CROSS JOIN LATERAL (
            SELECT count(*) AS commands, min(sequence) AS first, max(sequence) AS last
            FROM trading_command WHERE shard_id = s.id AND sequence IS NOT NULL
        ) AS log
        WHERE s.sequence <> coalesce(log.last, 0)
           OR (log.commands > 0 AND log.last - log.first + 1 <> log.commands)
        UNION ALL
        SELECT format('command %s is earlier than the one before', id)
        FROM (
            SELECT id, engine_time_us,
                   lag(engine_time_us) OVER (PARTITION BY shard_id ORDER BY sequence) AS before
            FROM trading_command WHERE sequence IS NOT NULL
        ) AS log
        WHERE engine_time_us < before OR engine_time_us IS NULL
        """,
    ),
    Check(
        19,
        "commands are sequenced soon, and have an outcome",
        """
        SELECT format('command %s (%s) waits since %s', id, kind, created_at)
        FROM trading_command
        WHERE sequence IS NULL AND created_at < clock_timestamp() - interval '10 seconds'
        UNION ALL
        SELECT format('command %s has no outcome', id) FROM trading_command
        WHERE sequence IS NOT NULL AND result NOT IN ('accepted', 'rejected', 'ignored')
        """,
    ),
    Check(
        19,
        "each order on the book has one place command",
        """
        SELECT format('order %s has %s place commands', o.id, count(c.id))
        FROM trading_order o
        LEFT JOIN trading_command c ON c.order_id = o.id AND c.kind = 'place'
        WHERE o.type <> 'quote'
        GROUP BY o.id HAVING count(c.id) <> CASE o.venue WHEN 'book' THEN 1 ELSE 0 END
        """,
    ),
    Check(
        20,
        "books are uncrossed",
        """
        WITH shown AS (
            SELECT o.instrument_id, o.side, (o.engine_state->>'price')::bigint AS price
            FROM trading_order o
            WHERE o.status IN ('open', 'partially_filled') AND o.type <> 'quote'
              AND coalesce((o.engine_state->>'priority')::bigint, 0) > 0
              AND (o.trigger = '' OR (o.engine_state->>'triggered')::bool)
            UNION ALL
            SELECT o.instrument_id, o.side, (level->>0)::bigint
            FROM trading_order o,
                 jsonb_array_elements(coalesce(o.engine_state->'levels', '[]')) AS level
            WHERE o.type = 'quote'
        )
        SELECT format('instrument %s is bid %s and offered at %s', instrument_id,
                      max(price) FILTER (WHERE side = 'buy'),
                      min(price) FILTER (WHERE side = 'sell'))
        FROM shown GROUP BY instrument_id
        HAVING max(price) FILTER (WHERE side = 'buy') >= min(price) FILTER (WHERE side = 'sell')
        """,
    ),
    Check(
        20,
        "queue positions are unique",
        """
        SELECT format('%s orders of instrument %s share priority %s', count(*), instrument_id,
                      priority)
        FROM (
            SELECT instrument_id, (engine_state->>'priority')::bigint AS priority
            FROM trading_order WHERE status IN ('open', 'partially_filled') AND type <> 'quote'
            UNION ALL
            SELECT o.instrument_id, (level->>2)::bigint
            FROM trading_order o,
                 jsonb_array_elements(coalesce(o.engine_state->'levels', '[]')) AS level
            WHERE o.type = 'quote'
        ) AS queued
        WHERE priority > 0 GROUP BY instrument_id, priority HAVING count(*) > 1
        """,
    ),
]

TRADES = [
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
        23,
        "a settled trade has one journal, of its legs and nothing else",
        """
        SELECT format('trade %s is %s and its journal is %s', t.id,
                      CASE WHEN t.settled_at IS NULL THEN 'unsettled' ELSE 'settled' END,
                      coalesce(j.key, 'missing'))
        FROM trading_trade t LEFT JOIN ledger_journal j ON j.key = 'trade:' || t.uid
        WHERE (t.settled_at IS NULL) <> (j.id IS NULL)
        UNION ALL
        SELECT format('the journal of trade %s has other legs', t.id)
        FROM trading_trade t
        JOIN ledger_journal j ON j.key = 'trade:' || t.uid
        JOIN trading_order b ON b.id = t.buy_order_id
        JOIN trading_order s ON s.id = t.sell_order_id
        WHERE (
            SELECT array_agg((debit_id, credit_id, amount)::text
                             ORDER BY debit_id, credit_id, amount)
            FROM ledger_transfer WHERE journal_id = j.id
        ) IS DISTINCT FROM (
            SELECT array_agg((debit, credit, amount)::text ORDER BY debit, credit, amount)
            FROM (
                SELECT s.token_account_id, b.token_account_id, t.quantity
                UNION ALL SELECT b.cash_account_id, s.cash_account_id, t.cost
                UNION ALL
                SELECT CASE WHEN paid.fee > 0 THEN paid.account_id ELSE f.id END,
                       CASE WHEN paid.fee > 0 THEN f.id ELSE paid.account_id END, abs(paid.fee)
                FROM (VALUES (b.cash_account_id, t.buy_fee), (s.cash_account_id, t.sell_fee))
                    AS paid(account_id, fee)
                JOIN ledger_account cash ON cash.id = b.cash_account_id
                JOIN ledger_account f ON f.role = 'fees' AND f.asset_id = cash.asset_id
                WHERE paid.fee <> 0
            ) AS legs(debit, credit, amount)
        )
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

CHECKS = [*ORDERS, *COMMANDS, *TRADES]
