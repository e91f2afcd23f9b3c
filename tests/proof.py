"""The proof that a fault cost nothing: what customers were told, held against the books.

Whoever trades through a fault writes down what was answered in `Told`. Afterwards `Proof` waits
until nothing is due any more and asks the database itself, past all code of the product: no
acknowledged order is lost, none is there twice, each is in the book or done, what was promised to
be cancelled is gone, every trade and every release is settled once. Then the product's own two
witnesses: `audit_books`, and `replay_commands`, for which the log alone makes the same books.
"""

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from krakapp import database

REST_S = 180  # how long a slow machine may take to work off what is due

DUE = """
    SELECT (SELECT count(*) FROM trading_command WHERE sequence IS NULL AND result = ''),
           (SELECT count(*) FROM trading_trade WHERE settled_at IS NULL AND held_back = ''),
           (SELECT count(*) FROM trading_release WHERE consumed_by_id IS NULL)
"""

# One row, in words, for each promise that was broken.
BROKEN = {
    "an acknowledged order is there": """
        SELECT format('%%s was acknowledged and is nowhere', told.id)
        FROM unnest(%(acknowledged)s::uuid[]) AS told(id)
        WHERE NOT EXISTS (SELECT FROM trading_order o WHERE o.uid = told.id)
    """,
    "a request that was repeated had one effect": """
        SELECT format('%%s is the name of %%s orders', told.name, count(o.id))
        FROM unnest(%(names)s::text[]) AS told(name)
        JOIN trading_order o ON o.client_order_id = told.name
        GROUP BY told.name HAVING count(o.id) <> 1
    """,
    "a name that was acknowledged is an order's": """
        SELECT format('%%s was acknowledged and is nowhere', told.name)
        FROM unnest(%(known)s::text[]) AS told(name)
        WHERE NOT EXISTS (SELECT FROM trading_order o WHERE o.client_order_id = told.name)
    """,
    "an order is in the book or done": """
        SELECT format('order %%s is %%s', o.uid, o.status) FROM trading_order o
        WHERE o.type <> 'quote' AND NOT (
            o.closed_at IS NOT NULL
            OR (o.status IN ('open', 'partially_filled')
                AND (o.engine_state->>'id')::bigint = o.id))
    """,
    "an order that was cancelled is done": """
        SELECT format('order %%s is %%s', o.uid, o.status) FROM trading_order o
        WHERE o.uid = ANY (%(cancelled)s::uuid[]) AND o.closed_at IS NULL
    """,
    "an amendment that was acknowledged reached the engine": """
        SELECT format('order %%s was amended in vain', told.id)
        FROM unnest(%(amended)s::uuid[]) AS told(id)
        WHERE NOT EXISTS (
            SELECT FROM trading_command c JOIN trading_order o ON o.id = c.order_id
            WHERE o.uid = told.id AND (c.kind = 'amend' AND c.sequence IS NOT NULL
                                       OR c.kind = 'place' AND c.payload ? 'amended'))
    """,
    "a trade is settled once, by its journal": """
        SELECT format('trade %%s has %%s journals, held back: %%s', t.uid, count(j.id), t.held_back)
        FROM trading_trade t LEFT JOIN ledger_journal j ON j.key = 'trade:' || t.uid
        GROUP BY t.id HAVING count(j.id) <> 1 OR t.settled_at IS NULL
    """,
    "a release is given back once": """
        SELECT format('release %%s is still due', id) FROM trading_release
        WHERE consumed_by_id IS NULL
    """,
    "a deposit that was acknowledged is known": """
        SELECT format('deposit %%s was acknowledged and is nowhere', told.id)
        FROM unnest(%(deposits)s::uuid[]) AS told(id)
        WHERE NOT EXISTS (SELECT FROM payments_depositinstruction d WHERE d.uid = told.id)
    """,
    "a deposit that was announced twice is one": """
        SELECT format('%%s deposits of one customer are like %%s', count(other.id), d.uid)
        FROM payments_depositinstruction d
        JOIN payments_depositinstruction other USING (user_id, amount_units)
        WHERE d.uid = ANY (%(deposits)s::uuid[])
        GROUP BY d.uid HAVING count(other.id) > 1
    """,
}


class Told:
    """What customers were told, all of them together."""

    def __init__(self) -> None:
        """Nobody was told anything."""
        self._lock = threading.Lock()
        self.orders: dict[str, str] = {}  # the customer's name of an order: its id
        self.names: set[str] = set()  # every name that was ever sent, answered or not
        self.known: set[str] = set()  # names acknowledged without an id
        self.cancelled: set[str] = set()
        self.amended: set[str] = set()
        self.deposits: set[str] = set()
        self.repeated = 0
        self.wrong: list[str] = []

    def sent(self, name: str) -> None:
        """Remember that an order of this name may exist from now on."""
        with self._lock:
            self.names.add(name)

    def accepted(self, name: str, order_id: str) -> None:
        """Remember an order, or that a repeated request got another one: that is wrong."""
        with self._lock:
            first = self.orders.setdefault(name, order_id)
            if first != order_id:
                self.wrong.append(f"{name} was {first}, and then {order_id}")

    def note(self, which: set[str], what: str) -> None:
        """Remember one more thing of a kind."""
        with self._lock:
            which.add(what)

    def repeats(self) -> None:
        """Count a request that was sent again."""
        with self._lock:
            self.repeated += 1

    def complain(self, what: str) -> None:
        """Remember an answer that nobody should have got."""
        with self._lock:
            self.wrong.append(what)


class Proof:
    """The same questions after every fault."""

    def __init__(self, config: dict[str, Any], manage: Callable[[str], object]) -> None:
        """Ask a database, and the product's own witnesses.

        :param config: as in `settings.DATABASES`, of a role that may read everything
        :param manage: runs a management command and raises where it fails
        """
        self.config = config
        self.manage = manage

    def wait_for_rest(self, *, seconds: float = REST_S) -> None:
        """Wait until nothing is due: every command sequenced, everything settled."""
        deadline = time.monotonic() + seconds
        while any(due := self.due()):
            assert time.monotonic() < deadline, (
                f"after {seconds} s still due: commands, trades, releases {due}"
            )
            time.sleep(0.1)

    def due(self) -> tuple[int, ...]:
        """Count unsequenced commands, unsettled trades, releases not given back."""
        with database.connect(self.config) as connection:
            return connection.execute(DUE).fetchone() or ()

    def broken(self, told: Told) -> list[str]:
        """List every promise that does not hold."""
        with database.connect(self.config) as connection:
            return [*told.wrong, *_broken(connection, told)]

    def holds(self, told: Told) -> None:
        """Let everything come to rest, then find nothing lost, doubled or wrong."""
        self.wait_for_rest()
        broken = self.broken(told)
        assert not broken, "\n".join(broken)
        self.manage("audit_books")
        self.manage("replay_commands")


def _broken(connection: psycopg.Connection[Any], told: Told) -> Iterator[str]:
    facts = {
        "acknowledged": list(told.orders.values()),
        "names": list(told.names),
        "known": list(told.known),
        "cancelled": list(told.cancelled),
        "amended": list(told.amended),
        "deposits": list(told.deposits),
    }
    for promise, query in BROKEN.items():
        for (row,) in connection.execute(query, facts).fetchall():
            yield f"{promise}: {row}"


def proof_of_the_test_bed() -> Proof:
    """Ask the tests' own database, where customers got shares without a trade.

    So the portfolio, which knows no lots of those, is not asked.
    """
    from django.core.management import call_command  # noqa: PLC0415 - once Django is set up
    from django.db import connections  # noqa: PLC0415

    from common.invariants import find_breaks  # noqa: PLC0415
    from ledger import queries as ledger  # noqa: PLC0415
    from spending import queries as spending  # noqa: PLC0415
    from trading import queries as trading  # noqa: PLC0415

    def manage(command: str) -> None:
        if command == "audit_books":
            breaks = list(find_breaks([*ledger.CHECKS, *trading.CHECKS, *spending.CHECKS]))
            assert breaks == []
        else:
            call_command(command, stdout=io.StringIO())

    return Proof(connections["owner"].settings_dict, manage)
