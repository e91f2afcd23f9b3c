"""pgbench beside the product: the same rows in the same tables, by prepared statements from C.

It computes nothing, checks nothing and knows every id beforehand: what it reaches is what the
database can do, row by row.
"""

import os
import re
import subprocess
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.models import Model

from krakapp import embedded
from trading.models import Command, Order

# One order: what it sets aside, the order, the command. The triggers update account and hold.
ACCEPT = """
\\set n random(0, :people - 1)
\\set account :cash + :n
\\set token :tokens + :n
\\set owner :customer + :n
BEGIN;
INSERT INTO ledger_hold (account_id, purpose) VALUES (:account, 'order') RETURNING id AS hold \\gset
INSERT INTO ledger_holdentry (hold_id, account_id, delta) VALUES (:hold, :account, 1001000);
{order} RETURNING id AS order \\gset
{command};
COMMIT;
"""

# One trade: its journal, what it captures, four transfers, its mark, tape, candles and lots.
SETTLE = """
\\set turn :turn + 1
\\set n :turn * :clients + :client_id
\\set trade :first_trade + :n
\\set one (:n * 7919) % :people
\\set other (:one + 1 + :n % (:people - 1)) % :people
\\set buyer :cash + :one
\\set bought :tokens + :one
\\set seller :cash + :other
\\set sold :tokens + :other
\\set buy_hold :first_hold + 2 * :n
\\set sell_hold :buy_hold + 1
BEGIN;
SELECT count(*) FROM ledger_lock_accounts(ARRAY[:buyer, :seller, :bought, :sold,
    :fees]::bigint[]);
INSERT INTO ledger_journal (uid, key, kind, occurred_at)
    VALUES (uuidv7(), 'pgbench:' || :trade::text, 'trade', now()) RETURNING id AS journal \\gset
INSERT INTO ledger_holdentry (hold_id, account_id, delta, journal_id)
    VALUES (:buy_hold, :buyer, -278778500, :journal),
           (:sell_hold, :sold, -100000000, :journal);
INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)
    VALUES (:journal, :share, :sold, :bought, 100000000),
           (:journal, :dollar, :buyer, :seller, 278500000),
           (:journal, :dollar, :buyer, :fees, 278500),
           (:journal, :dollar, :fees, :seller, 55700);
UPDATE trading_trade SET settled_at = now() WHERE id = :trade;
INSERT INTO market_tapetrade (uid, instrument_id, price, quantity, side, at)
    VALUES (uuidv7(), :instrument, 278.50, 1, 'buy', now());
INSERT INTO market_candle AS c (instrument_id, kind, interval, time, open, high, low, close,
        volume, turnover, trades, simulated)
    SELECT :instrument, 'tape', name, date_bin(length, now(), '2000-01-03'), 278.5, 278.5, 278.5,
        278.5, 1, 278.5, 1, false
    FROM (VALUES ('1m', interval '1 minute'), ('5m', '5 minutes'), ('15m', '15 minutes'),
        ('1h', '1 hour'), ('4h', '4 hours'), ('1d', '1 day'), ('1w', '7 days')) AS i(name, length)
    ON CONFLICT (instrument_id, kind, interval, time) DO UPDATE SET close = excluded.close,
        volume = c.volume + 1, turnover = c.turnover + 278.5, trades = c.trades + 1;
INSERT INTO portfolio_lotdue (trade_id) VALUES (:trade);
COMMIT;
"""


def accept(order: Order, command: Command, shard: int) -> str:
    """Write the script that accepts orders like one that the product accepted.

    :param shard: whose inbox the commands go to
    """
    theirs = {
        "uid": "uuidv7()",
        "customer_id": ":owner",
        "cash_account_id": ":account",
        "token_account_id": ":token",
        "hold_id": ":hold",
    }
    return ACCEPT.format(
        order=_insert_like(order, theirs),
        command=_insert_like(command, {"shard_id": str(shard), "order_id": ":order"}),
    )


def _insert_like(row: Model, variables: dict[str, str]) -> str:
    """Write the INSERT of a row as it is, but for some columns."""
    table = row._meta.db_table  # noqa: SLF001 - Django's own, documented
    columns = [f.column for f in row._meta.concrete_fields if not f.primary_key]  # noqa: SLF001
    values = ", ".join(f"quote_nullable({column}::text)" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {values} FROM {table} WHERE id = %s", [row.pk])  # noqa: S608
        [literals] = cursor.fetchall()
    said = {**dict(zip(columns, literals, strict=True)), **variables}
    return f"INSERT INTO {table} ({', '.join(said)}) VALUES ({', '.join(said.values())})"  # noqa: S608


def run(
    script: str,
    *,
    clients: int,
    variables: dict[str, int],
    seconds: float = 0,
    transactions: int = 0,
) -> float:
    """Run a script as the app's role and give its transactions a second.

    :param seconds: how long, or
    :param transactions: how many by all clients together
    """
    path = Path(settings.HOME) / "pgbench.sql"
    path.write_text(script)
    command = [str(embedded.postgres_bin() / "pgbench"), "-n", "-M", "prepared"]
    command += ["-h", str(settings.RUN), "-U", "krakapp_app", "-f", str(path)]
    command += ["-c", str(clients), "-j", str(min(clients, 2))]
    command += ["-T", str(seconds)] if seconds else ["-t", str(transactions // clients)]
    for name, value in variables.items():
        command += ["-D", f"{name}={value}"]
    done = subprocess.run(  # noqa: S603 - fixed arguments
        [*command, "krakapp"],
        env=os.environ | {"PGPASSWORD": settings.DATABASES["default"]["PASSWORD"]},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise RuntimeError(f"pgbench failed: {done.stdout}{done.stderr}")
    return float(found[1])
