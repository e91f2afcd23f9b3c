"""The arms of an audit's check: each is a way to be broken, and each needs a break that shows it.

A check's query selects what is broken by any of several conditions: the parts of a UNION ALL, and
the operands of an OR. Without one of them it still reads well, runs, and finds all the others. So
each arm is taken out in turn, and a test has to notice: a planted break that only the whole query
finds, or clean books in which the lamed one finds something.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from common.invariants import Check

TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|[()]|\w+|\s+|.")
# Lets every table take what its CHECKs refuse: the audit may rest on none of them.
UNCHECKED = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT conrelid::regclass AS place, conname FROM pg_constraint
                   WHERE contype = 'c' AND connamespace = 'public'::regnamespace
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.place, one.conname); END LOOP;
    END $$;
"""
# Sets the triggers and foreign keys aside for the rest of a transaction.
UNGUARDED = "SET LOCAL session_replication_role = replica;"
ENDS = {"or", "where", "having", "on", "when", "then", "group", "order", "union", "limit", "select"}


@dataclass(frozen=True, slots=True)
class Arm:
    """One way for a check to be broken: what it says, and the query without it."""

    said: str
    without: str


def arms_of(sql: str) -> Iterator[Arm]:
    """Give each arm of a query; none where there is only one way to be broken."""
    tokens = TOKEN.findall(sql)
    for start, end in sorted({*_parts(tokens), *_operands(tokens)}):
        said = " ".join("".join(tokens[start:end]).split())
        part = said.lower().startswith(("select", "(select"))
        lamed = f" SELECT * FROM ({said}) AS lost WHERE false " if part else " false "
        yield Arm(said, "".join([*tokens[:start], lamed, *tokens[end:]]))


def _parts(tokens: list[str]) -> Iterator[tuple[int, int]]:
    """Give (start, end) of what stands before and after each UNION, however deep it stands."""
    depths = _depths(tokens)
    for at, token in enumerate(tokens):
        if token.lower() == "union":
            before = _edge(tokens, depths, at, -1, {"union"})
            after = _edge(tokens, depths, at, 1, {"union"})
            for start, end in ((before + 1, at), (at + 1, after)):
                yield from ((spot, end) for spot in _begins(tokens, depths, start, end))


def _begins(tokens: list[str], depths: list[int], start: int, end: int) -> list[int]:
    """Tell where the SELECTs of a part begin: at its parenthesis, or after an ALL or a WITH."""
    words = (at for at in range(start, end) if tokens[at].strip() and tokens[at].lower() != "all")
    first = next(words)
    if tokens[first] == "(":
        return [first]
    return [
        at
        for at in range(start, end)
        if tokens[at].lower() == "select" and depths[at] == depths[first]
    ]


def _operands(tokens: list[str]) -> Iterator[tuple[int, int]]:
    """Give (start, end) of each operand of each OR, however deep it stands."""
    depths = _depths(tokens)
    for at, token in enumerate(tokens):
        if token.lower() != "or":
            continue
        yield _edge(tokens, depths, at, -1, ENDS) + 1, at
        yield at + 1, _edge(tokens, depths, at, 1, ENDS)


def _edge(tokens: list[str], depths: list[int], at: int, step: int, ends: set[str]) -> int:
    """Go from a word to where its operand ends: at one of these words, or its parenthesis."""
    here = depths[at]
    edge = at + step
    while 0 <= edge < len(tokens):
        word = tokens[edge].lower()
        if depths[edge] < here or (depths[edge] == here and word in ends):
            break
        edge += step
    return edge


def _depths(tokens: list[str]) -> list[int]:
    """Give how many parentheses each token stands in; a parenthesis belongs outside of itself."""
    depths, depth = [], 0
    for token in tokens:
        depth -= token == ")"
        depths.append(depth)
        depth += token == "("
    return depths


def unexplained(kind: str) -> tuple[str, str]:
    """Break `ledger.queries.explained` by what moved less than its row says, and by what did more.

    :param kind: of journals of which there are some
    """
    legs = "journal_id, asset_id, debit_id, credit_id, amount"
    chosen = f"WHERE journal_id IN (SELECT id FROM ledger_journal WHERE kind = '{kind}')"
    less = f"DELETE FROM ledger_transfer {chosen}"
    more = f"INSERT INTO ledger_transfer ({legs}) SELECT {legs} FROM ledger_transfer {chosen}"
    return UNGUARDED + less, UNGUARDED + more


def unnoticed(
    checks: Iterable[Check],
    breaks: Iterable[tuple[str, str]],
    harmless: Iterable[tuple[str, str]] = (),
) -> list[str]:
    """Name each check and arm that could go missing without anybody noticing.

    :param breaks: (a check's name, statements of the owner that break it), several a check
    :param harmless: the same, of what a check must not complain about
    """
    plants: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for planted, breaking in ((breaks, True), (harmless, False)):
        for name, statements in planted:
            plants[name].append((statements, breaking))
    owner = connections["owner"]
    owner.set_autocommit(False)
    try:
        return [lost for check in checks for lost in _lost(check, plants[check.name], owner)]
    finally:
        owner.rollback()
        owner.set_autocommit(True)


def _lost(
    check: Check, plants: Sequence[tuple[str, bool]], owner: BaseDatabaseWrapper
) -> Iterator[str]:
    left = list(arms_of(check.sql))
    for statements, breaking in [("SELECT 1", False), *plants]:
        with owner.cursor() as cursor:
            cursor.execute(UNCHECKED)
            cursor.execute(statements)
        if _finds(owner, check.sql) != breaking:
            yield f"{check.name}: {'nothing' if breaking else 'it'} tells of {statements}"
        left = [arm for arm in left if _finds(owner, arm.without) == breaking]
        owner.rollback()
    for arm in left:
        yield f"{check.name}: nothing misses {arm.said}"


def _finds(owner: BaseDatabaseWrapper, sql: str) -> bool:
    with owner.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() is not None
