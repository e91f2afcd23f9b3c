"""Ten thousand customers and a million trades, to see what the platform does when it is full.

Everything is drawn from one seed and written by the owner of the tables, in statements of many
rows: the books' own triggers keep the balances, and an audit finds nothing. The trades are with the
house's dealer over the past year, so they are whole without the engine: an order each side, a
journal, a lot for each buy, and its closing for every third trade.
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connections, models, transaction

import instruments.operations
import instruments.queries
import ledger.operations
import ledger.queries
import payments.operations
from common.money import USD, Amount
from krakapp.management.commands import seed_demo
from kyc.models import Application
from ledger.operations import AccountKey, Entry, Leg
from payments.models import BankCredit, DepositInstruction
from payments.operations import Movement
from portfolio.models import Lot, LotClosing
from trading.models import Order, Trade
from users.models import User

OWNER = "owner"
CHUNK = 20_000  # trades in one transaction
BATCH = 2_000
SLOTS = 5  # instruments that a customer trades at most
DOLLAR = 10**USD.scale
NAME = "load-{}@load.test"
SEED = 0.42
PAST = timedelta(days=365)
RECENT = timedelta(days=2)  # the last day is left to those who trade
BAR = 30

WHO = """
    CREATE TEMP TABLE load_customer AS
    SELECT row_number() OVER (ORDER BY u.id) AS n, u.id AS user_id, a.id AS cash
    FROM users_user u
    JOIN ledger_account a ON a.owner_id = u.id AND a.asset_id = %(cash)s AND a.role = 'customer'
    WHERE u.email LIKE %(people)s;
    ANALYZE load_customer;
"""

WHAT = """
    CREATE TEMP TABLE load_instrument AS
    SELECT row_number() OVER (ORDER BY i.id) AS n, i.id, i.asset_id, i.tick_size, i.multiplier,
           i.demo_price, dealer.id AS dealer, issuer.id AS issuer, cash.id AS dealer_cash
    FROM instruments_instrument i
    JOIN ledger_account dealer ON dealer.asset_id = i.asset_id AND dealer.role = 'dealer'
    JOIN ledger_account issuer ON issuer.asset_id = i.asset_id AND issuer.role = 'issuer'
    JOIN ledger_account cash ON cash.asset_id = %(cash)s AND cash.role = 'dealer'
    WHERE i.listed;
    ANALYZE load_instrument;
"""

# Who trades what: a few customers trade a lot, each in up to five instruments. A third trade of
# a customer in an instrument sells the oldest lot whole.
DRAW = """
    CREATE TEMP TABLE load_trade AS
    WITH drawn AS MATERIALIZED (
        SELECT n, 1 + floor(%(customers)s * power(random(), 1.5))::int AS customer,
               floor(%(slots)s * random())::int AS slot, 10 + 490 * power(random(), 2) AS dollars
        FROM generate_series(1, %(trades)s) AS n
    ),
    placed AS (
        SELECT d.n, c.user_id, c.cash, i.id AS instrument_id, i.asset_id, i.dealer,
               i.dealer_cash, i.tick_size, i.multiplier, d.dollars, i.demo_price,
               %(since)s::timestamptz + (%(until)s::timestamptz - %(since)s) * d.n / %(trades)s
                   AS at,
               row_number() OVER (PARTITION BY d.customer, i.id ORDER BY d.n) AS k
        FROM drawn d
        JOIN load_customer c ON c.n = d.customer
        JOIN load_instrument i ON i.n = 1 + (d.customer * 7 + d.slot * 13) %% %(instruments)s
    ),
    priced AS (
        SELECT p.*, greatest(round(coalesce(c.close, p.demo_price) / p.tick_size), 1)
                    * p.tick_size AS price
        FROM placed p
        LEFT JOIN market_candle c ON c.instrument_id = p.instrument_id AND c.kind = 'reference'
             AND c.interval = '1d' AND c.time = date_bin('1 day', p.at, '2000-01-03T00:00Z')
    )
    SELECT n, user_id, cash, instrument_id, asset_id, dealer, dealer_cash, multiplier, price, at,
           CASE WHEN k %% 3 = 0 THEN 'sell' ELSE 'buy' END AS side,
           CASE WHEN k %% 3 = 0 THEN k / 3 ELSE k - k / 3 END AS lot,
           greatest(floor(dollars * 100000000 / (price * multiplier)), 1)::bigint AS quantity
    FROM priced;
    ANALYZE load_trade;
"""

# What a sale sells is what the lot bought, and every row gets its ids before it is written, in the
# order of time.
NUMBER = """
    CREATE TEMP TABLE load_row AS
    SELECT s.*, %(cash)s AS cash_asset,
           floor(price * quantity * multiplier / 100)::bigint AS cost,
           nextval(pg_get_serial_sequence('trading_order', 'id')) AS own_order,
           nextval(pg_get_serial_sequence('trading_order', 'id')) AS dealer_order,
           nextval(pg_get_serial_sequence('trading_trade', 'id')) AS trade,
           nextval(pg_get_serial_sequence('ledger_journal', 'id')) AS journal,
           CASE side WHEN 'buy' THEN nextval(pg_get_serial_sequence('portfolio_lot', 'id')) END
               AS opened,
           uuidv7(at - clock_timestamp()) AS uid
    FROM (
        SELECT t.n, t.user_id, t.cash, t.instrument_id, t.asset_id, t.dealer, t.dealer_cash,
               t.multiplier, t.price, t.at, t.side, own.id AS token, bought.n AS bought,
               coalesce(bought.quantity, t.quantity) AS quantity
        FROM load_trade t
        JOIN ledger_account own ON own.owner_id = t.user_id AND own.asset_id = t.asset_id
             AND own.role = 'customer'
        LEFT JOIN load_trade bought ON t.side = 'sell' AND bought.side = 'buy'
             AND (bought.user_id, bought.instrument_id, bought.lot)
                 = (t.user_id, t.instrument_id, t.lot)
        ORDER BY t.n
    ) AS s;
    CREATE UNIQUE INDEX ON load_row (n);
    ANALYZE load_row;
"""


def load(*, customers: int, trades: int, now: datetime) -> Iterator[str]:
    """Make the customers, give them money, and let them trade; say how far it has come."""
    if not instruments.queries.listed():
        instruments.operations.load_instruments()
    yield progress(f"making {customers:,} customers", 0, 1)
    open_accounts(make_people(customers, now=now))
    with connections[OWNER].cursor() as cursor:
        cursor.execute("SET transaction_timeout = 0")
        yield progress(f"drawing {trades:,} trades", 0, 1)
        draw(cursor, customers=customers, trades=trades, now=now)
        yield progress("giving everybody what they will spend", 0, 1)
        stock_dealer(cursor, now=now - PAST)
        deposit(cursor, now=now - PAST)
        began = time.monotonic()
        for first in range(1, trades + 1, CHUNK):
            last = min(first + CHUNK - 1, trades)
            with transaction.atomic(using=OWNER):
                write(cursor, first, last)
            pace = last / (time.monotonic() - began)
            yield progress(f"{last:,} trades, {pace:,.0f} a second", last, trades)
        cursor.execute("DROP TABLE load_customer, load_instrument, load_trade, load_row")
        cursor.execute("ANALYZE")
        cursor.execute("RESET transaction_timeout")
    yield progress(f"{customers:,} customers, {trades:,} trades", 1, 1)


def progress(words: str, done: int, of: int) -> str:
    """Draw a bar, and say what it is about."""
    full = BAR * done // of
    return f"[{'#' * full}{'.' * (BAR - full)}] {100 * done // of:3} %  {words:<45}"


def make_people(count: int, *, now: datetime) -> list[User]:
    """Make customers whose accounts are open; they share a password, the demo's."""
    joined, password = now - PAST, make_password(settings.DEMO_PASSWORD)
    people = User.objects.bulk_create(
        [
            User(email=NAME.format(n), password=password, date_joined=joined)
            for n in range(1, count + 1)
        ],
        batch_size=BATCH,
    )
    EmailAddress.objects.bulk_create(
        [EmailAddress(user=u, email=u.email, verified=True, primary=True) for u in people],
        batch_size=BATCH,
    )
    Application.objects.bulk_create(
        [
            Application(
                user=user,
                status=Application.Status.ACTIVE,
                created_at=joined,
                submitted_at=joined,
                decided_at=joined,
                **{**seed_demo.ALICE, "first_names": "Load", "last_names": f"Number {n}"},
            )
            for n, user in enumerate(people, 1)
        ],
        batch_size=BATCH,
    )
    return people


def open_accounts(people: list[User]) -> None:
    """Open everybody's account of dollars, and of each instrument that they may draw."""
    cash = ledger.queries.usd().pk
    assets = list(instruments.queries.listed().order_by("id").values_list("asset_id", flat=True))
    keys = [AccountKey(user.pk, cash, "customer") for user in people]
    for n, user in enumerate(people, 1):
        drawn = {assets[(n * 7 + slot * 13) % len(assets)] for slot in range(SLOTS)}
        keys += [AccountKey(user.pk, asset, "customer") for asset in sorted(drawn)]
    for asset in (cash, *assets):
        keys += [AccountKey(None, asset, role) for role in ("dealer", "issuer", "external")]
    for start in range(0, len(keys), BATCH):
        ledger.operations.open_accounts(keys=keys[start : start + BATCH])


def draw(cursor: Any, *, customers: int, trades: int, now: datetime) -> None:
    """Draw who trades what, when and how much, and number every row that will be written."""
    params = {
        "cash": ledger.queries.usd().pk,
        "people": NAME.format("%"),
        "customers": customers,
        "trades": trades,
        "slots": SLOTS,
        "instruments": instruments.queries.listed().count(),
        "since": now - PAST + timedelta(days=1),
        "until": now - RECENT,
    }
    cursor.execute("SELECT setseed(%s)", [SEED])
    for statement in (WHO, WHAT, DRAW, NUMBER):
        cursor.execute(statement, params)


def stock_dealer(cursor: Any, *, now: datetime) -> None:
    """Let two people issue to the dealer what it will sell."""
    cursor.execute(
        "SELECT i.asset_id, sum(r.quantity)::bigint FROM load_row r"
        " JOIN load_instrument i ON i.id = r.instrument_id WHERE r.side = 'buy' GROUP BY 1"
    )
    bought = dict(cursor.fetchall())
    assets = {one.asset_id: one.asset for one in instruments.queries.listed()}
    staff = seed_demo.make_staff(now=now)
    seed_demo.move_treasury(
        [Movement("issue", "dealer", Amount(bought[one], assets[one])) for one in bought],
        reference="load",
        proposer=staff["tara"],
        approver=staff["olivia"],
        now=now,
    )


def deposit(cursor: Any, *, now: datetime) -> None:
    """Let every customer deposit what their purchases will cost, and a thousand dollars."""
    cash = ledger.queries.usd()
    [outside] = ledger.operations.open_accounts(keys=[AccountKey(None, cash.pk, "external")])
    cursor.execute(
        "SELECT c.user_id, c.cash, coalesce(sum(r.cost) FILTER (WHERE r.side = 'buy'), 0)::bigint"
        " FROM load_customer c LEFT JOIN load_row r ON r.user_id = c.user_id GROUP BY 1, 2"
        " ORDER BY 1"
    )
    rows = [
        (user, account, (spent // DOLLAR + 1_000) * DOLLAR)
        for user, account, spent in cursor.fetchall()
    ]
    for start in range(0, len(rows), BATCH):
        deposit_batch(rows[start : start + BATCH], cash=cash, outside=outside, now=now)


@transaction.atomic
def deposit_batch(
    batch: list[tuple[int, int, int]], *, cash: Any, outside: int, now: datetime
) -> None:
    """Announce and post the deposits of some customers, (user, account, units) each."""
    announced = DepositInstruction.objects.bulk_create(
        DepositInstruction(
            user_id=user,
            asset=cash,
            amount_units=amount,
            reference=payments.operations.new_reference(),
            status=DepositInstruction.Status.COMPLETED,
            created_at=now,
            completed_at=now,
        )
        for user, _, amount in batch
    )
    journals = ledger.operations.post(
        entries=[
            Entry(f"deposit:load-{user}", "deposit", [Leg(outside, account, amount)])
            for user, account, amount in batch
        ],
        occurred_at=now,
    )
    BankCredit.objects.bulk_create(
        BankCredit(
            external_id=f"load-{one.user_id}",
            reference=one.reference,
            amount_units=one.amount_units,
            asset=cash,
            instruction=one,
            status=BankCredit.Status.POSTED,
            user_id=one.user_id,
            journal_id=journal,
            received_at=now,
        )
        for one, journal in zip(announced, journals, strict=True)
    )


JOURNALS = """
    INSERT INTO ledger_journal (id, uid, key, kind, occurred_at)
    SELECT r.journal, uuidv7(r.at - clock_timestamp()), 'trade:' || r.uid, 'trade', r.at FROM {}
"""

TRANSFERS = """
    WITH r AS (
        SELECT r.journal, r.asset_id, r.dealer, r.token, r.cash_asset, r.cash, r.dealer_cash,
               r.quantity, r.cost, r.side = 'buy' AS buying
        FROM {}
    )
    INSERT INTO ledger_transfer (journal_id, asset_id, debit_id, credit_id, amount)
    SELECT journal, asset_id, CASE WHEN buying THEN dealer ELSE token END,
           CASE WHEN buying THEN token ELSE dealer END, quantity FROM r
    UNION ALL
    SELECT journal, cash_asset, CASE WHEN buying THEN cash ELSE dealer_cash END,
           CASE WHEN buying THEN dealer_cash ELSE cash END, cost FROM r
"""

# Twenty foreign keys a trade would be looked up one by one. Who may say so, as the embedded
# servers' owner may, trusts its own ids; the books are written with everything in force.
TRUST = """
    SELECT set_config('session_replication_role', %s, true)
    FROM pg_roles WHERE rolname = current_user AND rolsuper
"""

BUYING = "CASE r.side WHEN 'buy' THEN {} ELSE {} END"


def write(cursor: Any, first: int, last: int) -> None:
    """Write some of the trades with all that belongs to them."""
    rows = f"load_row r WHERE r.n BETWEEN {first} AND {last}"
    cursor.execute(TRUST, ["replica"])
    write_orders(cursor, rows)
    write_trades(cursor, rows)
    write_lots(cursor, rows)
    cursor.execute(TRUST, ["origin"])
    write_journals(cursor, rows)


def write_orders(cursor: Any, rows: str) -> None:
    """Write the customer's order and the dealer's, both filled at once."""
    both = {
        "uid": "uuidv7(r.at - clock_timestamp())",
        "instrument_id": "r.instrument_id",
        "venue": "'house'",
        "type": "'market'",
        "quantity": "r.quantity",
        "worst_price": "r.price",
        "time_in_force": "'fok'",
        "maker_rate": "0",
        "taker_rate": "0",
        "placed_at": "r.at",
        "closed_at": "r.at",
        "status": "'filled'",
        "filled": "r.quantity",
        "cost": "r.cost",
    }
    own = {
        "id": "r.own_order",
        "customer_id": "r.user_id",
        "side": "r.side",
        "cash_account_id": "r.cash",
        "token_account_id": "r.token",
    }
    dealers = {
        "id": "r.dealer_order",
        "side": BUYING.format("'sell'", "'buy'"),
        "cash_account_id": "r.dealer_cash",
        "token_account_id": "r.dealer",
    }
    insert(cursor, Order, {**both, **own}, rows)
    insert(cursor, Order, {**both, **dealers}, rows)


def write_trades(cursor: Any, rows: str) -> None:
    """Write the trades, settled when they were made."""
    insert(
        cursor,
        Trade,
        {
            "id": "r.trade",
            "uid": "r.uid",
            "instrument_id": "r.instrument_id",
            "venue": "'house'",
            "buy_order_id": BUYING.format("r.own_order", "r.dealer_order"),
            "sell_order_id": BUYING.format("r.dealer_order", "r.own_order"),
            "maker_side": BUYING.format("'sell'", "'buy'"),
            "price": "r.price",
            "quantity": "r.quantity",
            "multiplier": "r.multiplier",
            "cost": "r.cost",
            "buy_fee": "0",
            "sell_fee": "0",
            "executed_at": "r.at",
            "settled_at": "r.at",
        },
        rows,
    )


def write_journals(cursor: Any, rows: str) -> None:
    """Post a journal for each trade: shares one way, their cost the other.

    The ledger's own operations would take an hour; its triggers and constraints are the same here.
    """
    cursor.execute(JOURNALS.format(rows))
    cursor.execute(TRANSFERS.format(rows))


def write_lots(cursor: Any, rows: str) -> None:
    """Open a lot for each purchase, and close one for each sale."""
    insert(
        cursor,
        Lot,
        {
            "id": "r.opened",
            "customer_id": "r.user_id",
            "instrument_id": "r.instrument_id",
            "trade_id": "r.trade",
            "acquired_at": "r.at",
            "quantity": "r.quantity",
            "cost": "r.cost",
            "remaining": "r.quantity",
            "remaining_cost": "r.cost",
        },
        f"{rows} AND r.side = 'buy'",
    )
    sales = rows.replace("load_row r", "load_row r JOIN load_row b ON b.n = r.bought")
    insert(
        cursor,
        LotClosing,
        {
            "lot_id": "b.opened",
            "trade_id": "r.trade",
            "quantity": "r.quantity",
            "cost": "b.cost",
            "proceeds": "r.cost",
            "closed_at": "r.at",
        },
        sales,
    )
    sold = f"SELECT b.opened FROM {sales}"  # noqa: S608 - numbers of our own
    cursor.execute(
        f"UPDATE portfolio_lot SET remaining = 0, remaining_cost = 0 WHERE id IN ({sold})"  # noqa: S608
    )


def insert(cursor: Any, model: type[models.Model], given: dict[str, str], source: str) -> None:
    """Insert rows whose columns are expressions over a source; what is not given is its default."""
    columns: list[str] = []
    expressions: list[str] = []
    params: list[Any] = []
    for field in model._meta.concrete_fields:  # noqa: SLF001 - Django's own, and documented
        if field.column in given:
            expressions.append(given[field.column])
        elif field.primary_key or field.null or field.has_db_default() or field.generated:
            continue
        else:
            expressions.append("%s")
            params.append(field.get_db_prep_save(field.get_default(), cursor.db))
        columns.append(str(field.column))
    cursor.execute(
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns)})"  # noqa: S608, SLF001
        f" SELECT {', '.join(expressions)} FROM {source}",
        params,
    )
