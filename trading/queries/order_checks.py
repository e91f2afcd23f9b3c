"""What `audit_books` proves of orders; numbers as in docs/invariants.md."""

from common.invariants import Check


def purged(order: str) -> str:
    """Say in SQL that an order's commands may have been let go since, as old ones are.

    :param order: what the query calls it
    """
    return f"""EXISTS (
        SELECT FROM trading_book b JOIN trading_shard s ON s.id = b.shard_id
        WHERE b.instrument_id = {order}.instrument_id
          AND s.purged_us >= coalesce(({order}.engine_state->>'opened_at')::bigint,
                                      extract(epoch FROM {order}.closed_at) * 1000000)
    )"""  # noqa: S608 - of names in this app


# Each order with a trigger, and the ticks at or below which (and at or above which) it fires. A
# trailing one fires its trail away from the best price it has seen.
TRIGGERS = f"""
    SELECT o.id, {purged("o")} AS purged,
           o.type, o.status, o.instrument_id, o.trigger, i.tick_size AS tick,
           coalesce((o.engine_state->>'triggered')::bool, false) AS triggered,
           CASE WHEN (o.side = 'sell') <> takes_profit THEN fires ELSE other END AS falls_to,
           CASE WHEN (o.side = 'sell') <> takes_profit THEN other ELSE fires END AS rises_to
    FROM trading_order o
    JOIN instruments_instrument i ON i.id = o.instrument_id
    CROSS JOIN LATERAL (SELECT
        o.type IN ('take-profit', 'take-profit-limit') AS takes_profit,
        (o.engine_state->>'take_profit_price')::bigint AS other,
        (o.engine_state->>'trail_extreme')::bigint AS extreme,
        (o.engine_state->>'trail')::bigint AS distance
    ) AS terms
    CROSS JOIN LATERAL (SELECT coalesce(
        (o.engine_state->>'trigger_price')::bigint,
        extreme + CASE o.side WHEN 'sell' THEN -1 ELSE 1 END
            * CASE WHEN o.trail_percent IS NULL THEN distance
                   ELSE greatest(1, extreme * distance / 1000000) END
    ) AS fires) AS level
    WHERE o.trigger <> ''
"""  # noqa: S608 - of this file's own words

LIVES = [
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
             WHERE order_id = o.id AND kind = 'amend' AND sequence IS NULL AND result = '')
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
        f"""
        SELECT format('trade %s at %s is beyond order %s', t.id, t.price, o.id)
        FROM trading_trade t JOIN trading_order o ON o.id IN (t.buy_order_id, t.sell_order_id)
        WHERE o.type <> 'quote'
          AND NOT EXISTS (SELECT FROM trading_command c
                          WHERE c.order_id = o.id AND c.kind = 'amend' AND c.result = 'accepted')
          AND NOT {purged("o")}
          AND CASE o.side WHEN 'buy' THEN t.price > coalesce(o.limit_price, o.worst_price)
                          ELSE t.price < coalesce(o.limit_price, o.worst_price) END
        """,  # noqa: S608 - of this file's own words
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
        15,
        "an order with a trigger trades only once it has fired",
        """
        SELECT format('%s order %s traded and has not fired', type, id) FROM trading_order
        WHERE trigger <> '' AND filled > 0
          AND NOT coalesce((engine_state->>'triggered')::bool, false)
        """,
    ),
    Check(
        15,
        "an order fired because a price had reached its trigger",
        f"""
        SELECT format('%s order %s fired at %s, where no price ever was', type, id,
                      coalesce(falls_to, rises_to))
        FROM ({TRIGGERS}) AS fired
        WHERE fired.triggered AND NOT purged AND NOT EXISTS (
            SELECT FROM trading_trade t
            WHERE fired.trigger = 'last' AND t.instrument_id = fired.instrument_id
              AND t.venue = 'book'
              AND (t.price <= fired.tick * falls_to OR t.price >= fired.tick * rises_to)
            UNION ALL
            SELECT FROM trading_command c
            CROSS JOIN LATERAL (
                SELECT (c.payload->'prices'->>fired.instrument_id::text)::bigint AS price
            ) AS mark
            WHERE fired.trigger = 'index' AND c.kind = 'mark'
              AND (mark.price <= falls_to OR mark.price >= rises_to)
        )
        """,  # noqa: S608 - of this file's own constant
    ),
    Check(
        15,
        "an order whose trigger was reached has fired",
        f"""
        SELECT format('%s order %s waits for a price that has come', type, waiting.id)
        FROM ({TRIGGERS}) AS waiting
        JOIN trading_book b ON b.instrument_id = waiting.instrument_id
        CROSS JOIN LATERAL (SELECT (b.engine_state->>CASE waiting.trigger WHEN 'last' THEN 'last'
                                    ELSE 'mark' END)::bigint AS price) AS seen
        WHERE waiting.status = 'open' AND NOT waiting.triggered AND b.state = 'online'
          AND b.engine_state->'paused_until' IS NULL
          AND NOT coalesce((b.engine_state->>'closed')::bool, false)
          AND (seen.price <= falls_to OR seen.price >= rises_to)
        """,  # noqa: S608 - of this file's own constant
    ),
    Check(
        15,
        "an order's status follows from what happened to it",
        """
        SELECT format('order %s is %s with %s filled, and was %s', o.id, o.status, o.filled,
                      CASE WHEN c.sequence IS NULL THEN 'not sequenced' ELSE c.result END)
        FROM trading_order o
        JOIN trading_command c ON c.order_id = o.id AND c.kind = 'place'
        WHERE (o.status = 'pending') <> (c.sequence IS NULL AND c.result = '')
           OR (c.result = 'withdrawn' AND o.status <> 'cancelled')
           OR (o.status = 'rejected') <> (c.result = 'rejected')
           OR (o.status IN ('pending', 'open', 'rejected') AND o.filled > 0)
           OR (o.status IN ('partially_filled', 'filled') AND o.filled = 0)
           OR (o.status = 'expired' AND o.time_in_force <> 'gtd')
        UNION ALL
        SELECT format('trade %s is later than the end of order %s', t.id, o.id)
        FROM trading_trade t JOIN trading_order o ON o.id IN (t.buy_order_id, t.sell_order_id)
        WHERE t.executed_at > o.closed_at
        """,
    ),
]

RESTING = [
    Check(
        16,
        "what may not rest does not",
        """
        SELECT format('%s %s order %s is %s', time_in_force, type, id, status)
        FROM trading_order
        WHERE status IN ('open', 'partially_filled')
          AND (time_in_force IN ('ioc', 'fok')
               OR type IN ('market', 'stop-loss', 'take-profit', 'trailing-stop'))
          AND (trigger = '' OR (engine_state->>'triggered')::bool)
        UNION ALL
        SELECT format('order %s was good till %s', id, expires_at) FROM trading_order
        WHERE status IN ('open', 'partially_filled') AND time_in_force = 'gtd'
          AND expires_at < clock_timestamp() - interval '10 seconds'
        """,
    ),
    Check(
        16,
        "a dead-man switch past due has left nothing open",
        """
        SELECT format('order %s is open, and was to be cancelled', o.id)
        FROM trading_participant p JOIN trading_order o ON o.customer_id = p.customer_id
        WHERE o.status IN ('open', 'partially_filled')
          AND to_timestamp(p.cancel_all_at_us / 1e6) < clock_timestamp() - interval '10 seconds'
        """,
    ),
    Check(
        16,
        "fill-or-kill is all or nothing",
        """
        SELECT format('fill-or-kill order %s is %s with %s filled', id, status, filled)
        FROM trading_order
        WHERE time_in_force = 'fok' AND (filled > 0) <> (status = 'filled')
        """,
    ),
    Check(
        16,
        "post-only never takes",
        """
        SELECT format('post-only order %s took in trade %s', o.id, t.id)
        FROM trading_order o
        JOIN trading_trade t ON o.id IN (t.buy_order_id, t.sell_order_id)
        WHERE o.post_only AND t.maker_side <> o.side
        """,
    ),
    Check(
        17,
        "prices are on their tick",
        """
        SELECT format('order %s names a price of %s', o.id, named.price)
        FROM trading_order o
        JOIN instruments_instrument i ON i.id = o.instrument_id
        CROSS JOIN LATERAL (
            VALUES (o.limit_price), (o.worst_price), (o.trigger_price), (o.take_profit_price),
                   (o.trail), (o.limit_offset), ((o.close->>'stop_loss')::numeric),
                   ((o.close->>'take_profit')::numeric), ((o.close->>'limit_price')::numeric)
        ) AS named(price)
        WHERE named.price % i.tick_size <> 0
        UNION ALL
        SELECT format('trade %s is at %s', t.id, t.price)
        FROM trading_trade t JOIN instruments_instrument i ON i.id = t.instrument_id
        WHERE t.price % i.tick_size <> 0
        """,
    ),
    Check(
        17,
        "an iceberg shows its display and no more",
        """
        SELECT format('iceberg %s of %s shows %s of at most %s', id, quantity,
                      engine_state->>'displayed', display_quantity)
        FROM trading_order
        WHERE type = 'iceberg'
          AND (quantity > 15 * display_quantity
               OR (engine_state->>'displayed')::bigint > display_quantity)
        """,
    ),
    Check(
        17,
        "no waiting order is below the minimum",
        """
        SELECT format('order %s is worth less than $%s', o.id, i.min_notional)
        FROM trading_order o JOIN instruments_instrument i ON i.id = o.instrument_id
        WHERE o.status IN ('pending', 'open', 'partially_filled') AND o.type <> 'quote'
          AND o.closes_id IS NULL AND o.trail IS NULL AND o.trail_percent IS NULL
          AND NOT o.sells_out
          AND coalesce(o.notional, floor(o.worst_price * o.quantity * o.multiplier / 100))
              < i.min_notional * 1000000
        """,
    ),
    Check(
        26,
        "each settled fill of an order with a close has one close of its size",
        f"""
        SELECT format('trade %s of order %s is closed by order %s', t.id, b.id,
                      coalesce(c.id::text, 'none'))
        FROM trading_trade t
        JOIN trading_order b ON b.id = t.buy_order_id
        LEFT JOIN trading_order c ON c.closes_id = t.id
        WHERE (b.close IS NOT NULL AND t.settled_at IS NOT NULL) <> (c.id IS NOT NULL)
           OR (c.id IS NOT NULL AND (c.side <> 'sell' OR c.customer_id <> b.customer_id
                                     OR c.instrument_id <> t.instrument_id))
        UNION ALL
        SELECT format('order %s closes %s of the %s of trade %s', c.id, c.quantity, t.quantity,
                      t.id)
        FROM trading_order c JOIN trading_trade t ON t.id = c.closes_id
        WHERE c.quantity <> t.quantity
          AND NOT EXISTS (SELECT FROM trading_command a WHERE a.order_id = c.id
                          AND a.kind = 'amend' AND a.result = 'accepted')
          AND NOT {purged("c")}
        """,  # noqa: S608 - of this file's own words
    ),
]

EXECUTIONS = [
    Check(
        38,
        "a customer's executions are counted up to the last",
        """
        SELECT format('customer %s was told of %s executions; the last of an order is %s',
                      p.customer_id, p.executions, last.execution)
        FROM trading_participant p
        CROSS JOIN LATERAL (
            SELECT coalesce(max(execution), 0) AS execution FROM trading_order
            WHERE customer_id = p.customer_id
        ) AS last
        WHERE p.executions <> last.execution
        """,
    ),
]

ORDERS = [*LIVES, *RESTING, *EXECUTIONS]
