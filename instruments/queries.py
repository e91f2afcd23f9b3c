"""Questions about what may be traded."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal

from django.db.models import QuerySet

from common import database
from common.database import read
from common.invariants import Check
from instruments.models import Instrument
from instruments.rules import Change, Timeline, as_sought

ISSUER = "Backed Assets (JE) Limited, Jersey"  # of everything in xstocks.csv


def listed() -> QuerySet[Instrument]:
    """List what can be traded or watched, by symbol."""
    return Instrument.objects.filter(listed=True).order_by("symbol")


def by_symbol(symbol: str) -> Instrument:
    """Find a listed instrument, "AAPLx" or the market's "AAPLx/USD", in any case of letters.

    :raises Instrument.DoesNotExist: if nothing of that name is listed
    """
    if not symbol.isprintable():  # a NUL, say, which no database takes
        raise Instrument.DoesNotExist
    which = "WHERE listed AND upper(symbol) = upper(%s)"
    for instrument in read(Instrument, which, [symbol.removesuffix("/USD")]):
        return instrument
    raise Instrument.DoesNotExist


def search(*, text: str = "", kind: str = "") -> QuerySet[Instrument]:
    """List what is meant by some letters: a name, a brand, a ticker, an ISIN; slips are forgiven.

    :param kind: "stock" or "etf"; anything else means both
    """
    found = listed()
    if kind in Instrument.Type.values:
        found = found.filter(type=kind)
    if text.strip():
        found = found.filter(pk__in=ranks(text))
    return found


# How well a name fits: the same, begun so, with that in it, and else how alike the two are, by
# their trigrams, or by the letters that were added, left out or mistaken.
RANKS = """
    SELECT id, max(rank) AS rank FROM (
        SELECT i.id, CASE
            WHEN known.name = %(sought)s THEN 4
            WHEN known.name LIKE %(sought)s || '%%' THEN 3
            WHEN length(%(sought)s) >= 3 AND known.name LIKE '%%' || %(sought)s || '%%' THEN 2
            WHEN length(%(sought)s) < 4 THEN 0
            WHEN left(known.name, 1) = left(%(sought)s, 1) AND levenshtein(known.name, %(sought)s)
                 <= CASE length(%(sought)s) WHEN 4 THEN 1 ELSE 2 END THEN 1
            ELSE similarity(known.name, %(sought)s) END AS rank
        FROM instruments_instrument i CROSS JOIN unnest(i.names) AS known (name)
        WHERE i.listed
        UNION ALL
        SELECT id, 4 FROM instruments_instrument
        WHERE listed AND upper(%(sought)s) IN (isin, underlying_isin)
    ) AS fits WHERE rank >= %(least)s GROUP BY id
"""
ALIKE = 0.4  # of 1, in trigrams; a slip or two in a short word share fewer


def ranks(text: str) -> dict[int, float]:
    """Give how well instruments fit what was typed, by id; slips count where nothing fits."""
    sought = as_sought(text)
    if not sought:
        return {}
    rows = database.prepared(RANKS, {"sought": sought, "least": ALIKE})
    fits = {row[0]: float(row[1]) for row in rows}
    sure = {pk: rank for pk, rank in fits.items() if rank >= 2}
    return sure or fits


def timelines(instruments: Iterable[Instrument]) -> dict[int, Timeline]:
    """Give what base units of some instruments stood for at any time, by id, in one query."""
    now = {instrument.pk: instrument.multiplier for instrument in instruments}
    rows = database.prepared(
        """
        SELECT instrument_id, ordered_at, multiplier_before, multiplier_after, kind
        FROM instruments_corporateaction
        WHERE instrument_id = ANY (%s::bigint[]) AND ordered_at IS NOT NULL ORDER BY ordered_at
        """,
        [list(now)],
    )
    changes: dict[int, list[Change]] = defaultdict(list)
    for instrument_id, *change in rows:
        changes[instrument_id].append(Change(*change))
    return {pk: Timeline(now[pk], _in_force(changes[pk], now[pk])) for pk in now}


def _in_force(changes: list[Change], multiplier: Decimal) -> tuple[Change, ...]:
    """Leave out the change that was ordered, but came after this multiplier was read."""
    pending = bool(changes) and changes[-1].before == multiplier != changes[-1].after
    return tuple(changes[:-1] if pending else changes)


CHECKS = [
    Check(
        42,
        "multipliers follow from corporate actions",
        """
        SELECT format('%s counts by %s, its corporate actions say %s', i.symbol,
                      trim_scale(i.multiplier), trim_scale(coalesce(last.multiplier_after, 1)))
        FROM instruments_instrument i
        LEFT JOIN LATERAL (
            SELECT multiplier_after FROM instruments_corporateaction
            WHERE instrument_id = i.id AND status = 'done' ORDER BY id DESC LIMIT 1
        ) AS last ON true
        WHERE i.multiplier <> coalesce(last.multiplier_after, 1) AND NOT EXISTS (
            SELECT FROM instruments_corporateaction WHERE instrument_id = i.id
                AND status = 'ordered' AND multiplier_after = i.multiplier
                AND multiplier_before = coalesce(last.multiplier_after, 1)
        )
        """,
    ),
    Check(
        42,
        "corporate actions follow each other",
        """
        SELECT format('corporate action %s begins at %s, the one before ended at %s', id,
                      trim_scale(multiplier_before), trim_scale(ended))
        FROM (
            SELECT id, multiplier_before, coalesce(lag(multiplier_after) OVER way, 1) AS ended
            FROM instruments_corporateaction WHERE status <> 'cancelled'
            WINDOW way AS (PARTITION BY instrument_id ORDER BY id)
        ) AS action
        WHERE multiplier_before <> ended
        UNION ALL
        SELECT format('corporate action %s was scheduled before %s was done', later.id, sooner.id)
        FROM instruments_corporateaction sooner
        JOIN instruments_corporateaction later USING (instrument_id)
        WHERE sooner.id < later.id AND 'cancelled' NOT IN (sooner.status, later.status)
          AND coalesce(later.scheduled_at < sooner.done_at, true)
        """,
    ),
    Check(
        42,
        "corporate actions lie within what their events explain",
        """
        SELECT format('corporate action %s (%s) makes %s of %s', id, kind,
                      trim_scale(multiplier_after), trim_scale(multiplier_before))
        FROM instruments_corporateaction
        WHERE event = '' OR effective_at <= scheduled_at OR ordered_at < effective_at
          OR NOT coalesce(CASE kind
            WHEN 'dividend' THEN net_amount > 0 AND net_amount * 5 < reinvestment_price
                AND abs(multiplier_after * reinvestment_price
                        - multiplier_before * (reinvestment_price + net_amount))
                    <= reinvestment_price * 0.0000000000000000005
            ELSE (ratio_to > ratio_from) = (kind = 'split') AND ratio_to <> ratio_from
                AND abs(multiplier_after * ratio_from - multiplier_before * ratio_to)
                    <= ratio_from * 0.0000000000000000005
          END, false)
        """,
    ),
    Check(
        42,
        "two people scheduled each corporate action",
        """
        SELECT format('corporate action %s has proposal %s (%s, %s)', action.id, proposal.id,
                      proposal.kind, proposal.status)
        FROM instruments_corporateaction action
        JOIN users_proposal proposal ON proposal.id = action.proposal_id
        WHERE proposal.status <> 'executed' OR proposal.kind <> 'trading.corporate_action'
           OR proposal.decided_by_id = proposal.proposer_id
           OR proposal.result <> 'corporate_action:' || action.uid
           OR proposal.payload ->> 'event' <> action.event
        """,
    ),
    Check(
        42,
        "corporate actions happen at their time",
        """
        SELECT format('corporate action %s is %s ten minutes after its time', id, status)
        FROM instruments_corporateaction
        WHERE status IN ('scheduled', 'halted', 'ordered')
          AND effective_at < clock_timestamp() - interval '10 minutes'
        """,
    ),
]
