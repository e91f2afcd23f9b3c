"""What `audit_books` proves of orders, commands and trades; numbers as in docs/invariants.md."""

from common.invariants import Check

ORDERS = [
    Check(
        11,
        "an order's hold is its open budget and what is still due of it",
        """
        SELECT format('order %s holds %s; budget %s, unsettled %s, releases %s, in the inbox %s',
                      o.id, h.remaining, o.budget, due.traded, due.released, due.increased)
        FROM trading_order o
        JOIN ledger_hold h ON h.id = o.hold_id
        CROSS JOIN LATERAL (SELECT
            CASE o.side WHEN 'buy' THEN (
                SELECT coalesce(sum(cost + greatest(buy_fee, 0)), 0) FROM trading_trade
                WHERE buy_order_id = o.id AND settled_at IS NULL
            ) ELSE (
                SELECT coalesce(sum(quantity), 0) FROM trading_trade
                WHERE sell_order_id = o.id AND settled_at IS NULL
            ) END AS traded,
            (SELECT coalesce(sum(amount), 0) FROM trading_release
             WHERE order_id = o.id AND consumed_by_id IS NULL) AS released,
            (SELECT coalesce(sum((payload->>'budget_increase')::bigint), 0) FROM trading_command
             WHERE order_id = o.id AND kind = 'amend' AND sequence IS NULL)
            + CASE WHEN o.type = 'quote' THEN (
                SELECT coalesce(sum((payload->>CASE o.side WHEN 'buy' THEN 'bid_budget_increase'
                                               ELSE 'ask_budget_increase' END)::bigint), 0)
                FROM trading_command
                WHERE kind = 'quote' AND sequence IS NULL
                  AND (payload->>'instrument')::bigint = o.instrument_id
            ) ELSE 0 END AS increased
        ) AS due
        WHERE h.remaining <> o.budget + due.traded + due.released + due.increased
        """,
    ),
    Check(
        12,
        "a finished order has no budget left",
        """
        SELECT format('order %s is %s with a budget of %s', id, status, budget)
        FROM trading_order
        WHERE budget <> 0 AND status IN ('filled', 'cancelled', 'rejected', 'expired')
        """,
    ),
    Check(
        13,
        "an order on the book has a hold of its own account",
        """
        SELECT format('order %s has no hold on the account it pays from', o.id)
        FROM trading_order o LEFT JOIN ledger_hold h ON h.id = o.hold_id
        WHERE o.venue = 'book' AND h.account_id IS DISTINCT FROM
            CASE o.side WHEN 'buy' THEN o.cash_account_id ELSE o.token_account_id END
        """,
    ),
    Check(
        14,
        "an order is the sum of its trades",
        """
        SELECT format('order %s says filled %s, cost %s, fee %s; its trades say %s, %s, %s',
                      o.id, o.filled, o.cost, o.fee, t.quantity, t.cost, t.fee)
        FROM trading_order o
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(quantity), 0) AS quantity, coalesce(sum(cost), 0) AS cost,
                   coalesce(sum(CASE WHEN buy_order_id = o.id THEN buy_fee ELSE sell_fee END), 0)
                       AS fee
            FROM trading_trade WHERE buy_order_id = o.id OR sell_order_id = o.id
        ) AS t
        WHERE o.type <> 'quote' AND (o.filled, o.cost, o.fee) <> (t.quantity, t.cost, t.fee)
        """,
    ),
    Check(
        14,
        "an order is filled when nothing remains",
        """
        SELECT format('order %s is %s with %s of %s filled', id, status, filled, quantity)
        FROM trading_order
        WHERE type <> 'quote' AND quantity IS NOT NULL
          AND (filled > quantity OR (status = 'filled') <> (filled = quantity))
        UNION ALL
        SELECT format('order %s is filled by nothing', id) FROM trading_order
        WHERE type <> 'quote' AND status = 'filled' AND filled = 0
        UNION ALL
        SELECT format('order %s cost %s of %s', id, cost, notional) FROM trading_order
        WHERE side = 'buy' AND cost > notional
        """,
    ),
    Check(
        15,
        "no trade is beyond its limit",
        """
        SELECT format('trade %s at %s is beyond order %s', t.id, t.price, o.id)
        FROM trading_trade t JOIN trading_order o ON o.id IN (t.buy_order_id, t.sell_order_id)
        WHERE o.type <> 'quote'
          AND NOT EXISTS (SELECT FROM trading_command c
                          WHERE c.order_id = o.id AND c.kind = 'amend' AND c.result = 'accepted')
          AND CASE o.side WHEN 'buy' THEN t.price > coalesce(o.limit_price, o.worst_price)
                          ELSE t.price < coalesce(o.limit_price, o.worst_price) END
        """,
    ),
    Check(
        15,
        "an order is closed when it is done",
        """
        SELECT format('order %s is %s and closed_at is %s', id, status, closed_at)
        FROM trading_order
        WHERE (closed_at IS NOT NULL)
           <> (status IN ('filled', 'cancelled', 'rejected', 'expired'))
        """,
    ),
    Check(
        16,
        "what may not rest does not",
        """
        SELECT format('%s %s order %s is %s', o.time_in_force, o.type, o.id, o.status)
        FROM trading_order o
        WHERE o.status IN ('open', 'partially_filled')
          AND (o.time_in_force IN ('ioc', 'fok') OR o.type = 'market'
               OR (o.time_in_force = 'gtd' AND o.expires_at < now() - interval '10 seconds'))
        UNION ALL
        SELECT format('fill-or-kill order %s filled %s of %s', id, filled, quantity)
        FROM trading_order
        WHERE time_in_force = 'fok' AND quantity IS NOT NULL AND filled NOT IN (0, quantity)
        UNION ALL
        SELECT format('post-only order %s took in trade %s', o.id, t.id)
        FROM trading_order o
        JOIN trading_trade t ON o.id IN (t.buy_order_id, t.sell_order_id)
        WHERE o.post_only AND t.maker_side <> o.side
          AND NOT EXISTS (SELECT FROM trading_command c
                          WHERE c.order_id = o.id AND c.kind = 'amend')
        """,
    ),
    Check(
        17,
        "prices are on their tick",
        """
        SELECT format('order %s has a limit of %s', o.id, o.limit_price)
        FROM trading_order o JOIN instruments_instrument i ON i.id = o.instrument_id
        WHERE o.limit_price % i.tick_size <> 0
        UNION ALL
        SELECT format('trade %s is at %s', t.id, t.price)
        FROM trading_trade t JOIN instruments_instrument i ON i.id = t.instrument_id
        WHERE t.price % i.tick_size <> 0
        """,
    ),
]

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
