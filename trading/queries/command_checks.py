"""What `audit_books` proves of commands and the engine; numbers as in docs/invariants.md."""

from collections.abc import Iterator

from common.invariants import Check
from trading.models import Shard
from trading.queries.order_checks import purged
from trading.queries.replay import LogPurged, Replay, latest_snapshot


def replay_differences() -> Iterator[str]:
    """Run each shard's log again from its last snapshot, and say where it differs."""
    for shard in Shard.objects.order_by("id"):
        try:
            replay = Replay(shard, latest_snapshot(shard.pk))
        except LogPurged:
            yield f"shard {shard.name} has no snapshot as old as its log"
            continue
        replay.run()
        yield from replay.differences()


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
        WHERE s.sequence <> coalesce(log.last, s.purged_sequence)
           OR log.first <> s.purged_sequence + 1
           OR log.last - log.first + 1 <> log.commands
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
        WHERE sequence IS NULL AND result = ''
          AND created_at < clock_timestamp() - interval '10 seconds'
        UNION ALL
        SELECT format('command %s has no outcome', id) FROM trading_command
        WHERE sequence IS NOT NULL AND result NOT IN ('accepted', 'rejected', 'ignored')
        UNION ALL
        SELECT format('command %s (%s) has no sequence and is %s', id, kind, result)
        FROM trading_command WHERE sequence IS NULL AND result NOT IN ('', 'withdrawn')
        """,
    ),
    Check(
        19,
        "what waited too long, and nothing else, is refused for its age",
        """
        SELECT format('command %s (%s) was sequenced %s s past its age and is %s %s', id, kind,
                      engine_time_us / 1000000 - extract(epoch FROM stale_at), result, reason)
        FROM trading_command
        WHERE sequence IS NOT NULL AND reason <> 'set_aside'
          AND (reason = 'aged_out') <>
              coalesce(engine_time_us > (extract(epoch FROM stale_at) * 1000000)::bigint, false)
        """,
    ),
    Check(
        19,
        "a command that an engine never took was about an order that none has",
        """
        SELECT format('%s %s of order %s is withdrawn, and that order is %s', c.kind, c.id, o.id,
                      o.status)
        FROM trading_command c LEFT JOIN trading_order o ON o.id = c.order_id
        WHERE c.result = 'withdrawn' AND c.reason <> 'repeated'
          AND (o.status IS DISTINCT FROM 'cancelled' OR o.engine_state <> '{}' OR o.filled > 0)
        """,
    ),
    Check(
        19,
        "each order on the book has one place command",
        f"""
        SELECT format('order %s has %s place commands', o.id, count(c.id))
        FROM trading_order o
        LEFT JOIN trading_command c ON c.order_id = o.id AND c.kind = 'place'
        WHERE o.type <> 'quote'
        GROUP BY o.id
        HAVING count(c.id) <> CASE o.venue WHEN 'book' THEN 1 ELSE 0 END
           AND NOT (count(c.id) = 0 AND {purged("o")})
        """,  # noqa: S608 - a constant of this module
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
    Check(
        20,
        "the books are what the log makes of the last snapshot",
        find=replay_differences,
    ),
    Check(
        21,
        "no order is open across a change of the multiplier",
        """
        SELECT format('order %s was open when command %s changed the multiplier', o.id, m.sequence)
        FROM trading_command m
        JOIN trading_order o ON o.instrument_id = (m.payload->>'instrument')::bigint
        JOIN trading_command p ON p.order_id = o.id AND p.kind = 'place'
             AND p.shard_id = m.shard_id AND p.sequence < m.sequence
        WHERE m.kind = 'multiplier' AND m.result = 'accepted'
          AND (o.closed_at IS NULL
               OR extract(epoch FROM o.closed_at) * 1000000 > m.engine_time_us)
        """,
    ),
    Check(
        21,
        "trades, instruments and books count by the multiplier in force",
        """
        WITH told AS MATERIALIZED (
            SELECT (payload->>'instrument')::bigint AS instrument_id, sequence AS since,
                   (payload->>'multiplier_e18')::numeric AS multiplier_e18,
                   lead(sequence) OVER (PARTITION BY shard_id, payload->>'instrument'
                                        ORDER BY sequence) AS until
            FROM trading_command
            WHERE kind IN ('instrument', 'multiplier') AND result = 'accepted'
        )
        SELECT format('trade %s counts by %s', t.id, t.multiplier)
        FROM trading_trade t
        JOIN told ON told.instrument_id = t.instrument_id AND t.sequence >= told.since
             AND (told.until IS NULL OR t.sequence < told.until)
        WHERE t.venue = 'book' AND t.multiplier * 1000000000000000000 <> told.multiplier_e18
        UNION ALL
        SELECT format('trade %s counts by %s, order %s by %s', t.id, t.multiplier, o.id,
                      o.multiplier)
        FROM trading_trade t JOIN trading_order o ON o.id IN (t.buy_order_id, t.sell_order_id)
        WHERE o.type <> 'quote' AND o.multiplier <> t.multiplier
        UNION ALL
        SELECT format('instrument %s counts by %s, its book by %s', i.symbol, i.multiplier,
                      b.engine_state->>'multiplier_e18')
        FROM instruments_instrument i JOIN trading_book b ON b.instrument_id = i.id
        WHERE b.engine_state <> '{}'
          AND i.multiplier * 1000000000000000000 <>
              coalesce((b.engine_state->>'multiplier_e18')::numeric, 1000000000000000000)
        """,
    ),
]
