"""What `audit_books` is made of: named checks, each a query for the rows that break it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from django.db import connection

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the books.

    `sql` selects one row for each break, and its first column says in words what is broken; where
    a query cannot tell, `find` gives these sentences. `number` is the promise's line in
    docs/invariants.md.
    """

    number: int
    name: str
    sql: str = ""
    find: Callable[[], Iterable[str]] | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """A promise that does not hold, and where."""

    check: str
    detail: str


def find_breaks(checks: Iterable[Check]) -> Iterator[Break]:
    """Run every check in the caller's transaction; at most 20 breaks of each are named."""
    with connection.cursor() as cursor:
        for check in checks:
            if check.find is not None:
                yield from (Break(check.name, said) for said in islice(check.find(), SHOWN))
                continue
            cursor.execute(check.sql)
            for row in cursor.fetchmany(SHOWN):
                yield Break(check.name, str(row[0]))
