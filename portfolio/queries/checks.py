"""What the books promise about lots; the numbers are those of docs/invariants.md."""

from common.invariants import Check

CHECKS = [
    Check(
        27,
        "open lots are what is held",
        """
        WITH held AS (
            SELECT a.owner_id AS customer_id, i.id AS instrument_id, a.posted
            FROM ledger_account a JOIN instruments_instrument i ON i.asset_id = a.asset_id
            WHERE a.role = 'customer'
        ),
        pending AS (
            SELECT o.customer_id, t.instrument_id,
                   sum(CASE WHEN o.id = t.buy_order_id THEN t.quantity ELSE -t.quantity END) AS net
            FROM portfolio_lotdue d
            JOIN trading_trade t ON t.id = d.trade_id
            JOIN trading_order o ON o.id IN (t.buy_order_id, t.sell_order_id)
            WHERE o.customer_id IS NOT NULL
            GROUP BY 1, 2
        ),
        lots AS (
            SELECT customer_id, instrument_id, sum(remaining) AS remaining
            FROM portfolio_lot GROUP BY 1, 2
        )
        SELECT format('customer %s, instrument %s: lots have %s, due %s, the account %s',
                      customer_id, instrument_id, coalesce(remaining, 0), coalesce(net, 0),
                      coalesce(posted, 0))
        FROM held
        FULL JOIN lots USING (customer_id, instrument_id)
        FULL JOIN pending USING (customer_id, instrument_id)
        WHERE coalesce(remaining, 0) + coalesce(net, 0) <> coalesce(posted, 0)
        """,
    ),
    Check(
        28,
        "every settled buy opened its lot",
        """
        SELECT format('trade %s bought %s for %s, its lot says %s for %s', t.uid, t.quantity,
                      t.cost + t.buy_fee, l.quantity, l.cost)
        FROM trading_trade t
        JOIN trading_order o ON o.id = t.buy_order_id
        LEFT JOIN portfolio_lot l ON l.trade_id = t.id
        WHERE t.settled_at IS NOT NULL AND o.customer_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM portfolio_lotdue d WHERE d.trade_id = t.id)
          AND (l.quantity, l.cost, l.customer_id, l.instrument_id) IS DISTINCT FROM
              (t.quantity, t.cost + t.buy_fee, o.customer_id, t.instrument_id)
        """,
    ),
    Check(
        28,
        "every settled sell closed its lots",
        """
        SELECT format('trade %s sold %s for %s, its closings say %s for %s', t.uid, t.quantity,
                      t.cost - t.sell_fee, c.quantity, c.proceeds)
        FROM trading_trade t
        JOIN trading_order o ON o.id = t.sell_order_id
        LEFT JOIN (
            SELECT trade_id, sum(quantity) AS quantity, sum(proceeds) AS proceeds
            FROM portfolio_lotclosing GROUP BY trade_id
        ) AS c ON c.trade_id = t.id
        WHERE t.settled_at IS NOT NULL AND o.customer_id IS NOT NULL
          AND NOT EXISTS (SELECT FROM portfolio_lotdue d WHERE d.trade_id = t.id)
          AND (c.quantity, c.proceeds) IS DISTINCT FROM
              (t.quantity::numeric, (t.cost - t.sell_fee)::numeric)
        """,
    ),
    Check(
        28,
        "closed and open parts are what was acquired",
        """
        SELECT format('lot %s: %s of %s left after closing %s; cost %s of %s after %s', l.id,
                      l.remaining, l.quantity, coalesce(c.quantity, 0), l.remaining_cost, l.cost,
                      coalesce(c.cost, 0))
        FROM portfolio_lot l
        LEFT JOIN (
            SELECT lot_id, sum(quantity) AS quantity, sum(cost) AS cost
            FROM portfolio_lotclosing GROUP BY lot_id
        ) AS c ON c.lot_id = l.id
        WHERE l.remaining + coalesce(c.quantity, 0) <> l.quantity
           OR l.remaining_cost + coalesce(c.cost, 0) <> l.cost
        """,
    ),
    Check(
        28,
        "lots of a customer are closed by that customer's sales",
        """
        SELECT format('closing %s of lot %s belongs to a sale of somebody else', c.id, c.lot_id)
        FROM portfolio_lotclosing c
        JOIN portfolio_lot l ON l.id = c.lot_id
        JOIN trading_trade t ON t.id = c.trade_id
        JOIN trading_order o ON o.id = t.sell_order_id
        WHERE o.customer_id IS DISTINCT FROM l.customer_id
           OR t.instrument_id <> l.instrument_id
        """,
    ),
]
